import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ArtelNode, createNode, EXIT, loadConfig } from '../../node/index.ts'
import { type Health, toWire } from '../../services/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { Processes } from './processes.ts'

/** Nothing that is asked of the node may hang. */
const TIMEOUT_MS = 240_000

describe('node: its gateway', () => {
  let folder: string
  let node: ArtelNode | undefined
  const servers: Server[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-gateway-'))
  })
  afterEach(async () => {
    await node?.stop()
    node = undefined
    for (const server of servers.splice(0)) server.close()
    await rm(folder, { recursive: true })
  })

  const start = async (flags: Record<string, unknown> = {}): Promise<ArtelNode> => {
    const config = loadConfig({
      environment: {},
      flags: { data: folder, logLevel: 'silent', 'gateway.enabled': true, trustedPeers: ['*'], ...flags }
    })
    node = await createNode(config, { role: 'seed' })
    return node
  }

  /** Listens there, or somebody else does already. */
  const occupy = (port: number): Promise<number> =>
    new Promise(resolve => {
      const server = createServer()
      server.once('error', () => resolve(port))
      server.listen(port, '127.0.0.1', () => {
        servers.push(server)
        resolve((server.address() as { port: number }).port)
      })
    })

  const api = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${node!.gateway!.url}/api/v1${path}`, {
      ...init,
      headers: { authorization: `Bearer ${node!.gateway!.token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS)
    })
    return { status: response.status, body: await response.json() }
  }

  it('is off unless it is asked for', async () => {
    await start({ 'gateway.enabled': false })
    assert.equal(node!.gateway, undefined)
    assert.ok(!existsSync(join(folder, 'gateway.json')))
  })

  it('takes another port than the usual one where that is in use', async () => {
    await occupy(8080)
    let { gateway } = await start()
    // somebody else held it, and let it go in between
    while (gateway!.url!.endsWith(':8080')) {
      await node!.stop()
      await occupy(8080)
      gateway = (await start()).gateway
    }
    assert.match(gateway!.url!, /^http:\/\/127\.0\.0\.1:\d+$/)
    assert.deepEqual(JSON.parse(await readFile(join(folder, 'gateway.json'), 'utf8')), { url: gateway!.url })
  })

  it('insists on a port that was asked for, and leaves nothing behind when it cannot have it', async () => {
    const port = await occupy(0)
    await assert.rejects(start({ 'gateway.port': port }), {
      name: 'ListenError',
      message: new RegExp(`${port}.*--gateway-port`)
    })
    assert.equal((await start({ 'gateway.port': 0 })).libp2p.status, 'started')
  })

  it('runs jobs, lists them, and changes what the node lends and its settings', async () => {
    await start({ 'gateway.port': 0 })
    const spec = JSON.stringify({ type: 'map', items: [1, 2, 3], fn: 'x => x * 2' })
    const ran = await api('/tasks?wait=60000', { method: 'POST', body: spec })
    assert.deepEqual([ran.status, ran.body.result], [200, [2, 4, 6]])
    const { body } = await api('/tasks?state=completed&type=map')
    assert.deepEqual([body.total, body.items[0].job], [1, ran.body.job.job])
    assert.deepEqual((await api(`/tasks/${ran.body.job.job}/spec`)).body.items, [1, 2, 3])

    const patch = JSON.stringify({ enabled: false, limits: { minPrice: 0.5 } })
    const changed = await api('/contribution', { method: 'PATCH', body: patch })
    assert.equal(changed.status, 200)
    assert.deepEqual(changed.body, JSON.parse(toWire(node!.contribution())))
    assert.deepEqual([changed.body.enabled, changed.body.limits.minPrice], [false, 0.5])
    const { body: config } = await api('/config')
    const setting = config.items.find((row: { setting: string }) => row.setting === 'minPrice')
    assert.deepEqual([setting.value, setting.default, setting.live], [0.5, 0, true])
    const wrong = await api('/config', { method: 'PATCH', body: JSON.stringify({ slots: 'many' }) })
    assert.deepEqual([wrong.status, wrong.body.title], [400, 'ConfigError'])

    const { body: network } = await api('/network')
    assert.deepEqual([network.id, network.role], [node!.id, 'seed'])
  })
})

describe('node: the gateway of artel start', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
  })
  after(() => processes.stop())

  const on = ['--gateway-enabled', 'true', '--gateway-port', '0', '--listen', '/ip4/127.0.0.1/tcp/0']

  it('tells programs its address, its owner also the token, and takes both away at the end', async () => {
    const daemon = processes.start('seed', 'json', on)
    const { dashboard } = (await daemon.ready) as unknown as { dashboard: string }
    assert.match(dashboard, /^http:\/\/127\.0\.0\.1:\d+$/)
    const health = await fetch(`${dashboard}/health`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    const { status, services } = (await health.json()) as { status: string; services: Health[] }
    assert.deepEqual(
      [status, services.map(each => [each.service, each.state])],
      ['ok', [['compute', 'running']]]
    )
    const token = (await readFile(processes.path('json/gateway-token'), 'utf8')).trim()
    assert.ok(!daemon.stdout().includes(token) && !daemon.stderr().includes(token))
    const doctor = await processes.run(['doctor', '--data', processes.path('json')])
    assert.match(doctor.stdout, new RegExp(`dashboard +${dashboard},.*gateway-token`))
    assert.ok(!doctor.stdout.includes(token))
    for (const file of ['gateway-token', 'gateway.json'])
      assert.equal((await stat(processes.path(`json/${file}`))).mode & 0o777, 0o600)
    await daemon.end()
    assert.ok(!existsSync(processes.path('json/gateway.json')))

    const human = processes.spawn(['seed', '--data', processes.path('json'), ...on])
    await until(() => human.stdout().includes('join:'), 'it is ready')
    assert.match(human.stdout(), new RegExp(`dashboard: http://127\\.0\\.0\\.1:\\d+/#token=${token}`))
    await human.end()
  })

  it('says which port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    try {
      await until(() => server.listening, 'the port is taken')
      const { port } = server.address() as { port: number }
      const args = ['seed', '--data', processes.path('busy'), ...on, '--gateway-port', String(port)]
      const { code, stderr } = await processes.run(args)
      // a slow start may have warned before
      assert.match(stderr, new RegExp(`^artel: gateway\\.port: .*${port}.*--gateway-port[^\\n]*\\n$`, 'm'))
      assert.equal(code, EXIT.machine)
    } finally {
      server.close()
    }
  })
})
