import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdentity } from '../../../bootstrap/index.ts'
import { valve } from '../../../node/demo/valve.ts'
import { devices, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'

const VALVE = 'valve:1'

interface FleetAnswer {
  version: number
  wishes?: object
  signed?: { issuer: string; bytes: Uint8Array; signature: Uint8Array }
  own: { settings: { name: string; why?: string }[] }
  agents: { agent: string; version?: number; isRight: boolean; error?: string; state?: FleetAnswer['own'] }[]
}
type Outcome = { id: string; is: string; why?: string; result?: unknown; via?: string }

describe('devices: a fleet of nodes', function () {
  this.timeout(600_000)
  type Host = Awaited<ReturnType<typeof startHost>>
  const ids = Array.from({ length: 3 }, createIdentity)
  let folder: string
  let owner: Host
  let second: Host
  let board: Host

  const call = <T>(host: Host, operation: string, input: object = {}): Promise<T> =>
    host.services.call('devices', operation, input, { caller: OWNER }) as Promise<T>
  const fleetOf = (host: Host): Promise<FleetAnswer> => call(host, 'fleet')
  const command = (host: Host, name: string, args: object = {}, more: object = {}): Promise<Outcome> =>
    call(host, 'command', { device: VALVE, name, args, agent: board.id, minutes: 1, ...more })
  const done = async (): Promise<string[]> =>
    (await readFile(join(board.folder, 'valve/done'), 'utf8').catch(() => '')).split('\n').filter(Boolean)
  const grants = () => [
    { peer: owner.id, devices: 'valve:*', risk: 3 },
    { peer: second.id, devices: 'valve:*', commands: ['empty'], risk: 3 }
  ]
  async function write(wishes: object): Promise<number> {
    const { version } = await fleetOf(owner)
    const written = await call<{ version: number }>(owner, 'setFleet', {
      wishes: { agents: [board.id], settings: [], grants: [], ...wishes },
      after: version
    })
    // who writes waits for no node that is busy
    await until(async () => (await fleetOf(board)).version === written.version, 'it was brought')
    return written.version
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-fleet-'))
    const identities = await Promise.all(ids)
    const [first] = identities.map(({ peerId }) => peerId.toString())
    const fleetOwners = [first!]
    const start = (i: number, settings: object) =>
      startHost({
        modules: i === 2 ? [devices, valve] : [devices],
        identity: identities[i]!,
        folder: join(folder, String(i)),
        settings: { devices: { fleetOwners, ...settings } }
      })
    board = await start(2, { witnessPeers: [first!] })
    owner = await start(0, { allowedPeers: [board.id] })
    second = await start(1, {})
    // the second one knows no way to the board: the owner carries what it commands
    await Promise.all([owner.connect(board), owner.connect(second)])
    await until(
      async () => (await call<{ items: object[] }>(owner, 'list')).items.length > 0,
      'the valve is known'
    )
  })
  after(async () => {
    await Promise.all([owner, second, board].map(host => host?.[Symbol.asyncDispose]()))
    await rm(folder, { recursive: true, force: true })
  })

  it('does what its document says; nobody commands without', async () => {
    match((await command(owner, 'read')).why!, /no document/)
    equal(await write({ grants: grants(), settings: [{ devices: 'valve:*', values: { opening: 30 } }] }), 1)
    await until(async () => (await fleetOf(owner)).agents[0]?.isRight === true, 'it is as wanted')
    await until(async () => (await command(owner, 'read')).is === 'done', 'the valve answers')
    await until(
      async () => JSON.stringify((await command(owner, 'read')).result) === '{"opening":30}',
      'it is set'
    )
    // what it cannot be is told
    await write({
      grants: grants(),
      settings: [
        { devices: 'valve:*', values: { opening: 130 } },
        { devices: 'agent', values: { keepDays: 0 } }
      ]
    })
    await until(async () => {
      const [agent] = (await fleetOf(owner)).agents
      const whys = agent?.state?.settings.map(({ why }) => why).join(' ') ?? ''
      return !agent!.isRight && whys.includes('100 % at most') && whys.includes('>=1')
    }, 'the drift is shown')
    await rejects(call(owner, 'setFleet', { wishes: {}, after: 0 }), { name: 'ConflictError' })
    await rejects(call(second, 'setFleet', { wishes: {}, after: 2 }), { name: 'ForbiddenError' })
  })

  it('does commands once, tells how they ended, and a witness has all of it', async () => {
    await write({ grants: grants() })
    deepEqual((await command(owner, 'turn', { opening: 70 })).result, { opening: 70 })
    match((await command(owner, 'turn', { opening: 170 })).why!, /<=100/)
    equal((await command(owner, 'jam')).is, 'failed')
    equal((await command(owner, 'flush', { ms: 1 })).is, 'done')
    equal((await command(owner, 'hang')).is, 'unknown')
    match((await command(second, 'turn', { opening: 1 })).why!, /has no grant/)
    deepEqual(await done(), ['turn 70', 'flush'])
    interface Events {
      items: { kind: string; device: string; agent: string; body: { is: string; name?: string } }[]
    }
    // the owner is its witness
    await until(async () => {
      const { items } = await call<Events>(owner, 'events', { device: VALVE, limit: 1000 })
      const said = items.filter(({ kind }) => kind === 'fleet-command').map(({ body }) => body.is)
      return ['done', 'failed', 'refused', 'unknown', 'received', 'started'].every(each =>
        said.includes(each)
      )
    }, 'every step is at the witness')
  })

  it('gives away only what two have signed, and its machine allows', async () => {
    await write({ grants: grants() })
    await rejects(command(owner, 'empty'), { name: 'ConflictError', message: /second signer/ })
    const propose = () => command(owner, 'empty', {}, { second: second.id })
    const first = await propose()
    equal(first.is, 'proposed')
    const waiting = await call<{ items: { id: string; isOwn: boolean }[] }>(second, 'proposals')
    deepEqual(
      waiting.items.map(({ id, isOwn }) => [id, isOwn]),
      [[first.id, false]]
    )
    match((await call<Outcome>(second, 'approve', { id: first.id })).why!, /switched on/)
    const file = join(board.folder, 'devices/risk-3')
    await writeFile(file, 'valve:* empty\n', { mode: 0o644 })
    const again = await propose()
    match(
      (await call<Outcome>(second, 'approve', { id: again.id })).why!,
      /switched on/,
      'anybody can read it'
    )
    await chmod(file, 0o600)
    const right = await propose()
    const approved = await call<Outcome>(second, 'approve', { id: right.id })
    deepEqual([approved.is, approved.via], ['done', owner.id], 'carried')
    await rejects(call(second, 'approve', { id: right.id }), { name: 'UnknownCommandError' })
    const taken = await propose()
    await call(owner, 'dismiss', { id: taken.id })
    await rejects(call(second, 'approve', { id: taken.id }), { name: 'ForbiddenError' })
    await call(second, 'dismiss', { id: taken.id })
    equal((await done()).filter(each => each === 'empty').length, 1)
  })

  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  /** what the owner has, to the second one */
  async function bring(more: object = {}): Promise<{ version: number }> {
    const { signed } = await fleetOf(owner)
    ok(signed)
    return call(second, 'takeFleet', {
      signed: { ...signed, bytes: text(signed.bytes), signature: text(signed.signature), ...more }
    })
  }

  it('can be brought its document by hand, and refuses one of somebody else', async () => {
    const { version } = await fleetOf(owner)
    deepEqual(await bring(), { version })
    await rejects(bring({ signature: text(new Uint8Array(64)) }), { name: 'DocumentError' })
    await rejects(bring({ issuer: board.id }), { name: 'DocumentError' })
  })

  it('tells its members how devices are, those that they may see, and as long as they may', async () => {
    interface Rows {
      items: { agent: string; id: string; readings: { opening?: number } }[]
    }
    const rows = async () => (await call<Rows>(second, 'list')).items
    const reads = { peer: second.id, devices: 'valve:*', commands: ['read'], risk: 0 }
    await second.connect(board)
    await write({ grants: grants() })
    await bring()
    deepEqual(await rows(), [], 'who may command may not see')
    await write({ grants: [...grants(), reads] })
    await bring()
    await until(async () => (await rows()).length > 0, 'it is seen')
    const over = new AbortController()
    const seen: Rows['items'] = []
    const followed = second.services.call(
      'devices',
      'follow',
      {},
      {
        caller: OWNER,
        signal: over.signal,
        send: told => void seen.push(...(told as Rows).items)
      }
    )
    await command(owner, 'turn', { opening: 41 })
    await until(() => seen.some(({ readings }) => readings.opening === 41), 'what changes is told')
    over.abort(new Error('enough'))
    await rejects(followed, /enough/)
    deepEqual([...new Set(seen.map(({ agent, id }) => `${agent} ${id}`))], [`${board.id} ${VALVE}`])
    await write({ grants: grants() })
    await until(async () => (await rows()).length === 0, 'it is seen no more, whatever this node thinks')
  })
})
