import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { createIdentity } from '../../../bootstrap/index.ts'
import { devices, OWNER, sas } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createRandom } from '../../simulation/random.ts'
import { startHost } from '../host/start-host.ts'
import { Machine } from './machine.ts'
import { openPty } from './pty.ts'
import { TcpWire } from './wire.ts'

interface Event {
  device: string
  kind: string
  body: Record<string, any>
}
interface Item {
  line: string
  isUp: boolean
  serial?: string
}
type Totals = Record<string, number>

/** A loaded machine answers late: that is no fault of the wire. Who is deaf is asked nine times before it hears. */
const SETTINGS = { answerMs: 200, pollMs: 1, meterSeconds: 1 }

describe('sas: machines on a line, and what is in the log', function () {
  this.timeout(600_000)
  let folder: string
  let identity: Awaited<ReturnType<typeof createIdentity>>
  beforeEach(async () => {
    identity = await createIdentity()
    folder = await mkdtemp(join(tmpdir(), 'artel-sas-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  /** `board`: another one than that of the test */
  async function start(
    line: string,
    settings: object = {},
    board: Partial<Parameters<typeof startHost>[0]> = {},
    log: Record<string, unknown> = {}
  ) {
    const host = await startHost({
      modules: [sas, devices],
      settings: { sas: { ...SETTINGS, machines: [line], ...settings }, devices: log },
      folder,
      identity,
      ...board
    })
    const call = <T>(service: string, operation: string, input = {}): Promise<T> =>
      host.services.call(service, operation, input, { caller: OWNER }) as Promise<T>
    /** in the order of the log */
    const events = async (device?: string): Promise<Event[]> => {
      const { items } = await call<{ items: (Event & { seq: number })[] }>('devices', 'events', {
        limit: 1000,
        ...(device == null ? {} : { device })
      })
      return items.sort((a, b) => a.seq - b.seq)
    }
    const isUp = async (serial: string): Promise<boolean> =>
      (await call<{ items: Item[] }>('sas', 'machines')).items.some(
        each => each.isUp && each.serial === serial
      )
    return {
      host,
      call,
      events,
      isUp: (serial: string) => until(() => isUp(serial), `${serial} is up`),
      codes: async (device?: string): Promise<number[]> =>
        (await events(device)).filter(({ kind }) => kind === 'exception').map(({ body }) => body.code),
      meters: async (
        serial: string
      ): Promise<{ totals: Totals; grown: Totals; fell?: object; why: string }[]> =>
        (await events(`sas:${serial}`))
          .filter(({ kind }) => kind === 'meters')
          .map(({ body }) => body) as never,
      [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]()
    }
  }

  const grownIn = (rows: { grown: Totals }[], name: string): number =>
    rows.reduce((sum, { grown }) => sum + (grown[name] ?? 0), 0)

  it('is every exception once, and meters to the credit, over a noisy line, a pulled plug and a restart', async () => {
    const machine = new Machine({ address: 1, serial: 'A-17' })
    machine.add(0x00, 5_000)
    await using wire = new TcpWire([machine], createRandom(7))
    const line = await wire.listen()
    const play = async (games: number): Promise<void> => {
      for (let i = 0; i < games; i++) {
        // it waits for who does not listen, as its queue is short
        await until(() => machine.waiting < 10, 'room in the queue')
        machine.play(3, i % 4 === 0 ? 9 : 0)
        if (i % 10 === 0) machine.bill(0x49)
      }
    }
    const first = await start(line)
    await first.isUp('A-17')
    await play(40)
    wire.wrong = 0.3
    await play(20)
    wire.wrong = 0
    // what is under way at a cut may come twice, or be lost to a machine that is deaf by then: see the poller's tests
    const isHeard = (): Promise<void> => until(() => machine.waiting === 0, 'everything is heard')
    await isHeard()
    wire.cut()
    await play(5)
    await first.isUp('A-17')
    await isHeard()
    await first[Symbol.asyncDispose]()
    machine.play(3, 0)

    await using again = await start(line)
    await again.isUp('A-17')
    await play(5)
    await isHeard()
    // what is in the log can be asked for a moment later
    await until(
      async () => isDeepStrictEqual(await again.codes(), machine.happened),
      'each exception can be asked for, once'
    )
    await until(
      async () => (await again.meters('A-17')).at(-1)?.totals.coinIn === Number(machine.meter(0)),
      'the meters are read'
    )
    const rows = await again.meters('A-17')
    deepEqual([rows[0]!.why, rows[0]!.totals.coinIn], ['first', 5_000])
    equal(rows.filter(({ why }) => why === 'start').length, 1)
    equal(grownIn(rows, 'coinIn'), 71 * 3)
    equal(grownIn(rows, 'bills'), Number(machine.meter(0x0b)))
  })

  it('does what the fleet commands, decided and written by the service devices, where control is on', async () => {
    const machine = new Machine({ address: 1, serial: 'A-17' })
    machine.add(0x0c, 321)
    await using wire = new TcpWire([machine])
    const line = await wire.listen()
    const ask = (node: Awaited<ReturnType<typeof start>>, name: string) =>
      node.call<{ is: string; why?: string; result?: unknown }>('devices', 'command', {
        ...{ device: 'sas:A-17', name, args: {}, minutes: 1 }
      })
    {
      await using off = await start(line)
      await off.isUp('A-17')
      const { is, why } = await ask(off, 'lock')
      equal(is, 'failed')
      match(why!, /sas.control/)
      equal(machine.isLocked, false)
      deepEqual((await ask(off, 'credits')).result, { credits: 321 })
    }
    // its polls are in files: asked for ever, and as a set
    const put = (name: string, polls: object[]): Promise<void> =>
      writeFile(join(folder, name), JSON.stringify(polls), { mode: 0o600 })
    await mkdir(join(folder, 'sets'))
    await put('listeners.json', [{ command: '55', poll_type: 'R', commit: true }])
    await put('sets/look.json', [{ command: '1A', poll_type: 'R' }])
    await using node = await start(line, { control: true, filesFolder: folder })
    await node.isUp('A-17')
    const looked = { poll: '1a', is: 'answered', values: { credits: 321 } }
    const { items } = await node.call<{ items: { machine: string; items: { frame?: string }[] }[] }>(
      'sas',
      'run',
      {
        set: 'look'
      }
    )
    const { frame, ...rest } = items[0]!.items[0]!
    deepEqual([items.length, rest, frame?.slice(0, 12)], [1, looked, '011a00000321'])
    const asked = await node.call<{ is: string; result: unknown }>('devices', 'command', {
      ...{ device: 'sas:A-17', name: 'runSet', args: { set: 'look' }, minutes: 1 }
    })
    deepEqual([asked.is, asked.result], ['done', { items: [{ ...looked, frame }] }])
    await until(
      async () =>
        (await node.events('sas:A-17')).some(
          ({ kind, body }) => kind === 'listener' && body.values.game === 1
        ),
      'what a listener heard is in the log'
    )
    deepEqual(
      (await node.call<{ items: { target: string }[] }>('sas', 'listeners')).items.map(each => each.target),
      ['A-17']
    )
    await put('listeners.json', [{ command: '8A', poll_type: 'S' }])
    await until(
      () =>
        node.host.services
          .health()
          .some(({ service, reason }) => service === 'sas' && /8A moves money/.test(reason ?? '')),
      'what is wrong is told'
    )
    for (const [name, isSo] of [
      ['lock', () => machine.isLocked],
      ['enable', () => !machine.isLocked],
      ['refuseBills', () => !machine.acceptsBills],
      ['setClock', () => machine.clock !== '']
    ] as const) {
      equal((await ask(node, name)).is, 'done', name)
      ok(isSo(), name)
    }
    const said = (await node.events('sas:A-17')).filter(({ kind }) => kind === 'fleet-command')
    deepEqual(
      said.filter(({ body }) => body.name === 'setClock').map(({ body }) => body.is),
      ['received']
    )
    // another machine stands there now: what was meant for the first goes to nobody
    wire.isMute = true
    await until(
      async () => !(await node.call<{ items: Item[] }>('sas', 'machines')).items[0]!.isUp,
      'it is missed'
    )
    wire.machines[0] = new Machine({ address: 1, serial: 'B-1' })
    wire.isMute = false
    await node.isUp('B-1')
    await rejects(ask(node, 'lock'), { name: 'UnknownDeviceError' })
    equal(wire.machines[0].isLocked, false)
  })

  it('knows a meter that went past its last digit from one that was cleared, and another machine by its number', async () => {
    const machine = new Machine({ address: 1, serial: 'old' })
    machine.add(0x00, 99_999_990)
    machine.add(0x24, 4_000)
    await using wire = new TcpWire([machine])
    await using node = await start(await wire.listen())
    await node.isUp('old')
    machine.play(15, 0)
    await until(async () => (await node.meters('old')).length > 1, 'a second row')
    machine.clear()
    machine.play(2, 0)
    await until(async () => (await node.meters('old')).at(-1)?.totals.coinIn === 2, 'it is cleared')
    const rows = await node.meters('old')
    deepEqual(rows.flatMap(({ fell }) => (fell == null ? [] : [fell])).slice(0, 1), [{ coinIn: 'rollover' }])
    const cleared = rows.find(({ fell }) => (fell as Totals | undefined)?.drop != null)
    equal((cleared!.fell as Record<string, string>).coinIn, 'reset')
    equal(grownIn(rows, 'coinIn'), 17)
    for (const { grown } of rows) for (const value of Object.values(grown)) ok(value > 0)

    wire.isMute = true
    await until(
      async () => !(await node.call<{ items: Item[] }>('sas', 'machines')).items[0]!.isUp,
      'it is missed'
    )
    const other = new Machine({ address: 1, serial: 'new' })
    other.add(0x00, 777)
    wire.machines[0] = other
    wire.isMute = false
    await node.isUp('new')
    equal((await node.meters('new'))[0]!.totals.coinIn, 777)
    deepEqual(
      (await node.events()).filter(({ kind }) => kind === 'swapped').map(({ body }) => body),
      [{ before: 'old', now: 'new' }]
    )
  })

  it('goes on on a board that takes the place of another one', async () => {
    const machine = new Machine({ address: 1, serial: 'A-17' })
    machine.add(0x00, 5_000)
    await using wire = new TcpWire([machine])
    const line = await wire.listen()
    await using witness = await startHost({
      modules: [devices],
      settings: { devices: { allowedPeers: ['*'], fleetOwners: ['self'] } }
    })
    const ask = <T>(operation: string, input = {}): Promise<T> =>
      witness.services.call('devices', operation, input, { caller: OWNER }) as Promise<T>
    const rows = async (): Promise<string[]> =>
      (await ask<{ items: { id: string; agent: string }[] }>('list')).items.flatMap(({ id, agent }) =>
        id === 'sas:A-17' ? [agent] : []
      )
    const first = await start(line, {}, {}, { witnessPeers: [witness.id] })
    await first.host.connect(witness)
    await first.isUp('A-17')
    machine.play(3, 0)
    await until(async () => (await first.meters('A-17')).at(-1)?.totals.coinIn === 5_003, 'it is read')
    await until(async () => {
      const { own } = await first.call<{ own: { last: number } }>('devices', 'status')
      const { chains } = await ask<{ chains: { agent: string; last: number }[] }>('status')
      return chains.some(({ agent, last }) => agent === first.host.id && last === own.last)
    }, 'the witness has it')
    await first[Symbol.asyncDispose]()

    // it is played while no board is there
    machine.play(4, 0)
    await using second = await start(
      line,
      {},
      { folder: join(folder, 'second'), identity: undefined },
      { witnessPeers: [witness.id], beforePeers: [first.host.id] }
    )
    await second.host.connect(witness)
    await second.isUp('A-17')
    const [row] = await second.meters('A-17')
    deepEqual([row!.why, row!.grown.coinIn, row!.totals.coinIn], ['start', 4, 5_007])

    await until(async () => (await rows()).length === 2, 'both are known')
    await ask('setFleet', { wishes: { agents: [second.host.id] }, after: 0 })
    deepEqual(await rows(), [second.host.id])
  })

  it('is also behind a serial device', async () => {
    const machine = new Machine({ address: 2, serial: 'tty' })
    await using wire = new TcpWire([machine])
    await wire.listen()
    const path = join(folder, 'tty')
    await using _pty = await openPty(path, wire.port)
    // another process is between them
    await using node = await start(`${path}#2`, { answerMs: 500 })
    await node.isUp('tty')
    machine.play(255, 0)
    await until(async () => (await node.meters('tty')).at(-1)?.totals.coinIn === 255, 'the meters are read')
    // they may be read before all that it says is heard
    await until(() => machine.waiting === 0, 'everything is heard')
    await until(
      async () => (await node.codes()).length >= machine.happened.length,
      'everything can be asked for'
    )
    deepEqual(await node.codes(), machine.happened)
  })

  it('sends nothing that moves money, and what changes a machine only where its owner allows it', async () => {
    const machine = new Machine({ address: 1 })
    await using wire = new TcpWire([machine])
    const line = await wire.listen()
    const node = await start(line)
    await node.isUp('000001')
    const send = (poll: string): Promise<{ is: string; frame?: string }> =>
      node.call('sas', 'send', { machine: line, poll })
    const money = ['72', '8a', '94', '73', '4d', '08', 'ff', '00', '0a']
    for (const command of money)
      for (const data of ['', '00', '0100000100', '01'.repeat(20)])
        await rejects(send(command + data), { name: 'PollRefusedError' })
    for (const poll of ['01', '02', '06', '07', '0e01', '7f11272025192116'])
      await rejects(send(poll), { name: 'PollRefusedError', message: /sas\.control/ })
    equal((await send('1a')).is, 'answered')
    await node[Symbol.asyncDispose]()
    const sent = wire.heard.filter(message => message.length > 2).map(message => message.slice(2, 4))
    deepEqual([...new Set(sent)].sort(), ['1a', '1f', '2f', '54'])
    deepEqual([machine.paid, machine.isLocked, machine.acceptsBills], [[], false, true])

    await using allowed = await start(line, { control: true })
    await allowed.isUp('000001')
    equal(
      (await allowed.call<{ is: string }>('sas', 'send', { machine: line, poll: '01' })).is,
      'acknowledged'
    )
    ok(machine.isLocked)
    for (const command of money)
      await rejects(allowed.call('sas', 'send', { machine: line, poll: command }), {
        name: 'PollRefusedError'
      })
    const commands = (await allowed.events('sas:000001')).filter(({ kind }) => kind === 'command')
    ok(commands.some(({ body }) => body.is === 'acknowledged'))
  })
})
