import { strict as assert } from 'node:assert'
import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ArtelNode, type Config, createLogger, createNode, loadConfig } from '../../node/index.ts'
import { COMPUTE_SERVICE, OWNER } from '../../services/index.ts'
import { address, until } from '../bootstrap/nodes.ts'

describe('node: createNode', () => {
  let folder: string
  let nodes: ArtelNode[]

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-node-'))
    nodes = []
  })
  afterEach(async () => {
    await Promise.all(nodes.map(node => node.stop()))
    await rm(folder, { recursive: true })
  })

  const configOf = (name: string, flags: Record<string, unknown> = {}): Config =>
    loadConfig({
      environment: {},
      flags: { data: join(folder, name), logLevel: 'silent', trustedPeers: ['*'], ...flags }
    })

  const start = async (
    name: string,
    flags?: Record<string, unknown>,
    init: Parameters<typeof createNode>[1] = {}
  ) => {
    const node = await createNode(configOf(name, flags), init)
    nodes.push(node)
    return node
  }
  const startSeed = (flags?: Record<string, unknown>) =>
    start('seed', { compute: false, ...flags }, { role: 'seed' })

  it('wires all rooms: a job of one node is computed by another and paid', async () => {
    const seed = await startSeed()
    const seeds = [address(seed)]
    const worker = await start('worker', { seeds, slots: 1 })
    const client = await start('client', { seeds, compute: false })
    await until(
      () => client.scheduler.workers().some(({ peer }) => peer === worker.id),
      'the client knows the worker'
    )
    const job = await client.submit({ type: 'map', items: [1, 2, 3], fn: 'x => x * 10' })
    assert.deepEqual(await job.result(), [10, 20, 30])
    const { shares } = await job.settled()
    const share = shares.find(({ worker: id }) => id === worker.id)
    assert.ok(share != null, 'the worker took part')
    assert.equal(client.ledger.balance().available, 100_000_000n - share.paid)
    await until(
      () => worker.ledger.balance().available === 100_000_000n + share.paid,
      'the worker has its credits'
    )
  })

  it('announces that it computes only when it does', async () => {
    const seed = await startSeed()
    const worker = await start('worker', { seeds: [address(seed)] })
    assert.deepEqual([...seed.directory.announced()], [])
    await until(() => (worker.directory.announced().get(COMPUTE_SERVICE) ?? 0) > 0, 'the worker is announced')
    const found: string[] = []
    for await (const { id } of seed.directory.find(COMPUTE_SERVICE)) found.push(id.toString())
    assert.deepEqual(found, [worker.id])
  })

  it('lends what its owner says while it runs, tells others, counts what it did and keeps both', async () => {
    const seed = await startSeed()
    const seeds = [address(seed)]
    const client = await start('client', { seeds, compute: false })
    let worker = await start('worker', { seeds, slots: 1 })
    const seen = () => client.scheduler.workers().find(({ peer }) => peer === worker.id)
    await until(() => seen() != null, 'the client knows the worker')
    await (
      await client.submit({ type: 'map', items: [1, 2, 3], fn: 'x => x * 10', verify: 'none' })
    ).settled()
    const { today, enabled, limits } = worker.contribution()
    assert.ok(enabled && limits.slots === 1)
    assert.ok(today.slices > 0 && today.cpuMs > 0 && BigInt(today.earned) > 0n)
    assert.equal(today.requesters, 1)

    await worker.contribute({ limits: { minPrice: 0.5 } })
    await until(() => seen()?.minPrice === 500_000n, 'the client sees the new price')
    const closed = await worker.contribute({ enabled: false })
    assert.deepEqual([closed.enabled, closed.open, typeof closed.reason], [false, false, 'string'])
    await until(() => seen() == null, 'the client sees that it lends nothing')
    await until(() => !worker.directory.announced().has(COMPUTE_SERVICE), 'it is announced no more')
    assert.equal(worker.config.compute, false)

    await worker.stop()
    worker = await start('worker', { seeds })
    const after = worker.contribution()
    assert.deepEqual([after.enabled, after.limits.minPrice, after.today], [false, 0.5, today])
    await worker.contribute({ enabled: true, limits: { minPrice: 0, slots: 2 } })
    await until(() => seen()?.slots === 2, 'the client has it back')
    await assert.rejects(worker.contribute({ limits: { slots: 0 } }), {
      name: 'ConfigError',
      message: /slots/
    })
  })

  it('has its jobs as a service, which answers also where nothing is lent', async () => {
    const node = await start('seed', {}, { role: 'seed' })
    const compute = () => node.services.health().find(({ service }) => service === 'compute')
    assert.equal(compute()?.state, 'running')
    await node.configure({ compute: false })
    assert.equal(compute()?.state, 'running')
    await node.services.call(
      'compute',
      'submit',
      { spec: { type: 'map', items: [1], fn: 'x => x' } },
      { caller: OWNER }
    )
    assert.match(await node.services.metrics().metrics(), /^artel_compute_jobs_submitted_total 1$/m)
    assert.match(await node.registry.metrics(), /^artel_credits_available /m)
  })

  it('knows which key started which job until everything that may ask has ended, and nothing after', async () => {
    const spec = { type: 'map', items: [1], fn: 'x => x' }
    const ended: unknown[] = []
    const service = {
      name: 'late',
      version: 1,
      summary: 'submits as it ends',
      operations: {},
      load: async () => () => ({
        operations: {},
        endMs: () => 60_000,
        async end() {
          const input = { spec, key: 'k' }
          ended.push(await node.services.call('compute', 'submit', input, { caller: OWNER }))
        }
      })
    }
    const node: ArtelNode = await start('seed', { compute: false }, { role: 'seed', services: [service] })
    await node.stop()
    assert.equal(ended.length, 1)
    const taken = createServer()
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as AddressInfo
    try {
      await assert.rejects(start('seed', { 'gateway.enabled': true, 'gateway.port': port }), {
        name: 'ListenError'
      })
    } finally {
      taken.close()
    }
    const open = (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => ''))
    assert.deepEqual(
      (await Promise.all(open)).filter(path => path.startsWith(folder)),
      []
    )
  })

  it('keeps its account and its network over a restart', async () => {
    const first = await startSeed()
    await first.stop()
    await first.stop()
    const second = await startSeed()
    assert.equal(second.id, first.id)
    assert.deepEqual(second.network, first.network)
  })

  it('refuses another network for the same data folder', async () => {
    const first = await startSeed()
    await first.stop()
    const other = await start('other', {}, { role: 'seed' })
    const network = join(folder, 'other', 'network.json')
    await assert.rejects(startSeed({ network }), { name: 'NetworkError', message: /expected network local-/ })
    assert.notEqual(other.id, first.id)
  })

  it('leaves the folder free when the start fails or is aborted', async () => {
    await assert.rejects(startSeed({ listen: ['/ip4/203.0.113.1/tcp/1'] }), { name: 'ListenError' })
    const controller = new AbortController()
    const nowhere = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWJFJFDPMB4hzULGGW1ApJVKLCxbbzYvZZyNmTkBHivEBn'
    const waiting = createNode(configOf('waiting', { seeds: [nowhere] }), { signal: controller.signal })
    controller.abort(new Error('enough'))
    await assert.rejects(waiting)
    nodes.push(await createNode(configOf('waiting'), { role: 'seed' }))
    await startSeed()
  })

  it('says that it is alone, and that it no longer is', async () => {
    const lines: string[] = []
    const logger = createLogger(
      { logLevel: 'info', logFormat: 'json' },
      { write: line => void lines.push(line) }
    )
    const seed = await start('seed', {}, { role: 'seed', logger })
    await until(() => lines.some(line => /no peers/.test(line)), 'it says so')
    await start('node', { seeds: [address(seed)] })
    await until(() => lines.some(line => /peers found/.test(line)), 'it has noticed')
  })

  it('ends with its scope', async () => {
    {
      await using node = await createNode(configOf('scoped'), { role: 'seed' })
      assert.ok(node.addresses().length > 0)
    }
    await using again = await createNode(configOf('scoped'), { role: 'seed' })
    assert.equal(again.libp2p.status, 'started')
  })
})
