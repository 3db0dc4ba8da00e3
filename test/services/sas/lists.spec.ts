import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turnOver } from 'node:timers/promises'
import fc from 'fast-check'
import { guarded } from '../../../services/sas/line/guard.ts'
import { createLists } from '../../../services/sas/lists/create-lists.ts'
import { dueListener } from '../../../services/sas/lists/due.ts'
import { createListFile } from '../../../services/sas/lists/list-file.ts'
import { type Listener, listener, messageOf, onceListed } from '../../../services/sas/lists/listed-poll.ts'
import { machineOf } from '../../../services/sas/lists/settings.ts'
import { createMachine } from '../../../services/sas/machine/machine.ts'
import { MIGRATIONS } from '../../../services/sas/migrations.ts'
import { Machine, sealed } from './machine.ts'

const ROUND_MS = 200
const { signal } = new AbortController()
const READ = { command: '1A', poll_type: 'R' }
/** seven meters, as they were asked before this service */
const METERS = {
  command: '2F',
  poll_type: 'M',
  following_length: true,
  add_length_binary: true,
  optional_data: ['24', '00', '01', '04', '06', '07', '03'],
  length_to_read_per_meter: { 24: 4, '00': 4, '01': 4, '04': 4, '06': 4, '07': 4, '03': 4 },
  time: 10,
  commit: true
}

describe('sas: polls in files', function () {
  this.timeout(120_000)
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-sas-lists-'))
    await mkdir(join(folder, 'sets'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const write = (name: string, value: unknown): Promise<void> =>
    writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 })

  /** Machines of one line, and the loop of it; `at` is its clock. */
  async function line(machines: Machine[], { control = false, db = new DatabaseSync(':memory:') } = {}) {
    if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'listed_once'").get())
      db.exec(MIGRATIONS.join(';'))
    let now = 1_000_000
    const sent: { at: number; message: string }[] = []
    const log: { kind: string; body: Record<string, unknown> }[] = []
    const states = new Map<string, string>()
    /** spoils answers to what is sent */
    let spoil: (message: string) => boolean = () => false
    const lists = createLists({
      folder,
      db,
      mayControl: () => control,
      now: () => now,
      uptime: () => now,
      onState: (what, why) => void (why == null ? states.delete(what) : states.set(what, why))
    })
    const wire = guarded(
      {
        errors: 0,
        async ask(message) {
          now += 20
          const text = Buffer.from(message).toString('hex')
          sent.push({ at: now, message: text })
          let answer: Uint8Array | undefined
          for (const machine of machines) answer ??= machine.message(message, now)
          return answer != null && spoil(text) ? answer.map(byte => byte ^ 1) : answer
        }
      },
      () => control
    )
    const drivers = await Promise.all(
      machines.map(({ address }) =>
        createMachine({
          lineName: '/dev/line',
          address,
          line: wire,
          devices: {
            open: async ({ kind, serial }) => ({
              id: `${kind}:${serial}`,
              async event(kind, body) {
                log.push({ kind, body: body as never })
                return undefined
              },
              sample: async () => undefined,
              latest: async () => undefined,
              before: async () => undefined,
              samples: async () => [],
              close() {}
            })
          },
          commands: () => ({}),
          due: lists.due,
          onException() {},
          meterSeconds: () => 3600,
          now: () => now
        })
      )
    )
    async function rounds(seconds: number): Promise<void> {
      for (const end = now + 1000 * seconds; now < end; ) {
        const next = now + ROUND_MS
        for (const driver of drivers) {
          await driver.step(signal)
          await driver.settle(signal)
        }
        now = Math.max(now, next)
      }
    }
    await lists.look()
    return {
      lists,
      drivers,
      rounds,
      states,
      log,
      spoilt(which: typeof spoil): void {
        spoil = which
      },
      /** of those with data, or all of a command */
      times: (message: string): number[] =>
        sent.filter(each => each.message.startsWith(message)).map(({ at }) => at),
      commands: (): string[] => [...new Set(sent.map(({ message }) => message.slice(2, 4)))].sort(),
      noted: (kind: string) => log.filter(each => each.kind === kind).map(({ body }) => body)
    }
  }

  it('are the known messages, whatever the names of the seed say', () => {
    const message = (poll: object): string => Buffer.from(messageOf(1, listener.parse(poll))).toString('hex')
    equal(message(METERS), '012f090000240001040607038ae2')
    equal(message(READ), '011a')
    equal(
      message({ command: '01', poll_type: 'S', response_type: 'ack_nack' }),
      Buffer.from(sealed([1, 1])).toString('hex')
    )
    equal(message({ command: '0x0e', poll_type: 'S', optional_data: ['00'] }), '010e00ccc0')
    equal(message({ command: 'a0', poll_type: 'M', game_number: 0 }), '01a000006c13')
    equal(message({ command: '53', poll_type: 'M', game_number: 1 }), '01530001b561')
    equal(
      message({
        command: 'AF',
        poll_type: 'M',
        add_length_binary: true,
        optional_data: ['00', '00', '0C', '00']
      }).slice(0, 8),
      '01af0600'
    )
    equal(
      message({ command: '73', poll_type: 'S', add_length_binary: true, optional_data: ['FF'] }),
      '017301ffa765'
    )
    equal(message({ command: '01', poll_type: 'G' }).slice(0, 4), '0001')
  })

  it('refuses a file whole, and says which line and field', async () => {
    const path = join(folder, 'listeners.json')
    const once = join(folder, 'do_once.json')
    const on = (line: number, poll: object): string =>
      `[\n${'  {"command": "1A", "poll_type": "R"},\n'.repeat(line - 2)}${JSON.stringify(poll)}\n]`
    const wrong: [string, RegExp][] = [
      [on(3, { ...READ, command: '8A' }), /line 3: \[1\]\.command: 8A moves money/],
      [on(2, { ...READ, command: '99' }), /line 2: \[0\]\.command: 99 moves money, or no table knows it/],
      [
        on(2, { command: '72', poll_type: 'S', add_length_binary: true, optional_data: ['00'] }),
        /command: 72 moves/
      ],
      [on(2, { command: '94', poll_type: 'G' }), /command: 94 moves money/],
      [
        on(2, { command: '74', poll_type: 'S', optional_data: ['00', '00', '00', '00'] }),
        /command: 74 moves/
      ],
      [on(2, { ...READ, command: 26 }), /\[0\]\.command: /],
      [on(2, { ...READ, command: '1G' }), /command: must be a byte in hex/],
      [on(2, { ...READ, optional_data: ['00'] }), /optional_data: R asks without data/],
      [on(2, { ...READ, poll_type: 'X' }), /poll_type: /],
      [on(2, { ...READ, poll_type: 'S' }), /poll_type: 1A is asked without data/],
      [on(2, { command: '2F', poll_type: 'R' }), /poll_type: 2F is not asked without data/],
      [on(2, { ...READ, poll_type: 'G' }), /poll_type: 1A is asked without data: R/],
      [on(2, { ...METERS, poll_type: 'G' }), /poll_type: 2F asks, and nobody answers/],
      [
        on(2, { ...METERS, add_length_binary: false }),
        /add_length_binary: the data of 2F begins with its length/
      ],
      [on(2, { ...METERS, following_length: false }), /following_length: the answer to 2F says its length/],
      [on(2, { ...READ, following_length: true }), /following_length: the answer to 1A does not say/],
      [on(2, { ...READ, length_to_read: 5 }), /length_to_read: the data of the answer to 1A has 4 bytes/],
      [on(2, { ...READ, response_type: 'ack_nack' }), /response_type: 1A is answered with data/],
      [on(2, { ...READ, time: -1 }), /time: /],
      [on(2, { ...READ, game_number: 1 }), /game_number: only M/],
      [on(4, { ...READ, tiem: 1 }), /line 4: \[2\]: .*tiem/],
      ['[\n{"command": "1A",\n"poll_type": "R",\n"time": "10"}]', /line 4: \[0\]\.time: /],
      ['{}', /line 1: /],
      ['[\n{"command": "1A"},\n{"command": }\n]', /line 3: /],
      [JSON.stringify(new Array(65).fill(READ)), /line 1: /]
    ]
    const file = createListFile(path, listener)
    await write('listeners.json', [READ])
    await file.look()
    for (const [text, expected] of wrong) {
      await write('listeners.json', text)
      await rejects(file.look(), (error: Error) => {
        equal(error.name, 'ListFileError')
        ok(error.message.startsWith(`${path}, line `), error.message)
        match(error.message, expected)
        return true
      })
      // the last good one goes on, and what is wrong is said at each look
      deepEqual(
        file.listed.map(({ poll }) => poll.command),
        [0x1a]
      )
      await rejects(file.look(), { name: 'ListFileError' })
    }
    await write('listeners.json', '[]')
    await file.look()
    deepEqual(file.listed, [])
    await chmod(path, 0o622)
    await rejects(file.look(), /chmod 600/)
    await write('do_once.json', [{ ...READ, once: 'never' }])
    await rejects(createListFile(once, onceListed).look(), /once: /)
    await rm(once)
    deepEqual(createListFile(once, onceListed).listed, [])
  })

  it('asks each as often as its time says, for ever, however long the rounds are', () => {
    const times = fc.array(fc.record({ time: fc.constantFrom(0, 1, 7, 60, 600) }), {
      minLength: 1,
      maxLength: 8
    })
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 400 }), (wanted, roundMs) => {
        const listeners = wanted.map(({ time }, i) => ({
          hash: String(i),
          isControl: false,
          poll: { time } as Listener
        }))
        const askedAt = new Map<string, number>()
        const counts = new Map<string, number>()
        const seconds = 1_800
        for (let now = 0; now < 1000 * seconds; now += roundMs) {
          const { hash, poll } = dueListener(listeners, {
            askedAt: listed => askedAt.get(listed.hash),
            now,
            mayControl: false
          }) ?? { hash: '', poll: undefined }
          if (poll == null) continue
          // never sooner than its time
          const before = askedAt.get(hash)
          if (before != null) ok(now - before >= 1000 * poll.time)
          askedAt.set(hash, now)
          counts.set(hash, (counts.get(hash) ?? 0) + 1)
        }
        // each waits for the others at most: one poll of each in so many rounds
        for (const { hash, poll } of listeners) {
          const everyMs = 1000 * poll.time + 2 * roundMs * listeners.length
          ok(
            (counts.get(hash) ?? 0) >= Math.floor((1000 * seconds) / everyMs),
            `${hash} of ${JSON.stringify(wanted)}`
          )
        }
      }),
      { numRuns: 40 }
    )
  })

  it('are asked beside exceptions, of which none waits for one that is silent or spoilt', async () => {
    const machine = new Machine({ address: 3, serial: 'A-17' })
    machine.add(0x24, 500)
    await write('listeners.json', [
      METERS,
      { command: '7B', poll_type: 'S', optional_data: ['00', '00'], time: 0 },
      { command: '55', poll_type: 'R', time: 0 },
      { ...READ, time: 3600, commit: true }
    ])
    const { rounds, times, log, noted, lists, spoilt } = await line([machine])
    // a machine that does not know it says nothing; another one answers with a checksum that is wrong
    spoilt(message => message.startsWith('0355'))
    for (let i = 0; i < 60; i++) {
      machine.play(1, 0)
      await rounds(1)
    }
    await rounds(5)
    deepEqual(
      log.filter(({ kind }) => kind === 'exception').map(({ body }) => body.code),
      machine.happened
    )
    // the seed asked it without a pause after its first time
    const asked = times('032f090000240001')
    ok(asked.length >= 5 && asked.length <= 7, `${asked.length} in a minute`)
    for (const [i, at] of asked.entries()) if (i > 0) ok(at - asked[i - 1]! >= 10_000)
    const heard = noted('listener')
    deepEqual((heard[0] as { values: unknown }).values, {
      ...{ drop: 500, coinIn: (heard[0] as { values: { coinIn: number } }).values.coinIn },
      ...{ coinOut: 0, cancelled: 0, won: 0, handpaidCancelled: 0 },
      lost: (heard[0] as { values: { lost: number } }).values.lost
    })
    const last = heard.filter(({ poll }) => String(poll).startsWith('2f')).at(-1)!.values as {
      coinIn: number
    }
    ok(last.coinIn >= 49 && last.coinIn <= 60, `${last.coinIn}`)
    // what is as it was is not written again
    equal(heard.filter(({ poll }) => poll === '1a').length, 1)
    deepEqual(
      lists
        .heard()
        .map(({ poll, is }) => [poll.slice(0, 2), is])
        .sort(),
      [
        ['1a', 'answered'],
        ['2f', 'answered'],
        ['55', 'silent'],
        ['7b', 'answered']
      ]
    )
  })

  it('is read again where it has changed; one that is wrong leaves the last good one', async () => {
    const machine = new Machine({ address: 1 })
    await write('listeners.json', [READ])
    const { lists, rounds, times, states } = await line([machine])
    await rounds(2)
    const before = times('011a').length
    ok(before > 1)
    await write('listeners.json', [{ ...READ, command: '94' }])
    await lists.look()
    match(states.get('listeners.json')!, /line 1: \[0\]\.command/)
    await rounds(2)
    ok(times('011a').length > before)
    await write('listeners.json', [{ command: '55', poll_type: 'R' }])
    await lists.look()
    equal(states.size, 0)
    const [credits, games] = [times('011a').length, times('0155').length]
    await rounds(2)
    equal(times('011a').length, credits)
    ok(times('0155').length > games)
    // it is taken away while one of it is asked
    await lists.due({
      ...{ line: '/dev/line', address: 1, serial: 'another', creditCents: undefined },
      async long() {
        await rm(join(folder, 'listeners.json'))
        await lists.look()
        return undefined
      },
      hear: async () => true,
      once: async () => undefined,
      note: async () => undefined
    })
    const after = times('0155').length
    await rounds(2)
    equal(times('0155').length, after)
  })

  it('does once what is to be done once, in order, at each machine, and for ever what is for ever', async () => {
    const db = new DatabaseSync(':memory:')
    await write('do_once.json', [
      { command: '01', poll_type: 'S', response_type: 'ack_nack' },
      {
        command: '7F',
        poll_type: 'S',
        optional_data: ['11', '27', '20', '25', '19', '21', '16'],
        once: 'ever'
      },
      { command: '02', poll_type: 'S' },
      { command: '01', poll_type: 'S', response_type: 'ack_nack' }
    ])
    const machine = new Machine({ address: 1, serial: 'A-17' })
    const said = (l: Awaited<ReturnType<typeof line>>): string[] =>
      l
        .noted('command')
        .filter(({ is }) => is !== 'tried')
        .map(({ poll, is }) => `${String(poll).slice(2, 4)} ${is}`)
    {
      const off = await line([machine], { db })
      await off.rounds(3)
      deepEqual(said(off), [])
      match(off.states.get('do_once.json')!, /4 of its polls wait for sas.control/)
      equal(machine.isLocked, false)
    }
    const first = await line([machine], { db, control: true })
    await first.rounds(3)
    deepEqual(said(first), ['01 acknowledged', '7f acknowledged', '02 acknowledged', '01 acknowledged'])
    equal(machine.clock, '11272025192116')
    ok(machine.isLocked)
    await first.rounds(3)
    equal(said(first).length, 4)
    // again at the next start, but for what is for ever; another machine is another one
    const again = await line([machine], { db, control: true })
    await again.rounds(3)
    deepEqual(
      said(again).map(each => each.slice(0, 2)),
      ['01', '02', '01']
    )
    const other = await line([new Machine({ address: 1, serial: 'B-20' })], { db, control: true })
    await other.rounds(3)
    equal(said(other).length, 4)
  })

  it('does no more than once what is for ever, also where it ends in the middle', async () => {
    const db = new DatabaseSync(':memory:')
    await write('do_once.json', [{ command: '01', poll_type: 'S', once: 'ever' }])
    const machine = new Machine({ address: 1 })
    const first = await line([machine], { db, control: true })
    first.spoilt(message => {
      // it has arrived; the process ends before it hears so
      if (message.startsWith('0101')) throw new Error('killed')
      return false
    })
    await rejects(first.rounds(3), /killed/)
    ok(machine.isLocked)
    machine.isLocked = false
    const again = await line([machine], { db, control: true })
    await again.rounds(3)
    equal(machine.isLocked, false)
  })

  it('tells all machines of a line once, and waits for no answer', async () => {
    const machines = [1, 2].map(address => new Machine({ address, serial: `serial-${address}` }))
    await write('do_once.json', [{ command: '01', poll_type: 'G' }])
    const { rounds, times, log } = await line(machines, { control: true })
    for (const machine of machines) for (let i = 0; i < 10; i++) machine.raise(0x11)
    await rounds(10)
    equal(times('0001').length, 1)
    // both are told; what they had said until then was on the disk
    equal(log.filter(({ kind }) => kind === 'exception').length, 20)
  })

  it('runs a set in its order, and nothing of it where a part is not allowed', async () => {
    const machine = new Machine({ address: 1, serial: 'A-17' })
    machine.add(0x0c, 321)
    await write('sets/look.json', [READ, { command: '55', poll_type: 'R' }, READ])
    await write('sets/close.json', [READ, { command: '07', poll_type: 'S' }])
    await write('sets/pay.json', [
      READ,
      { command: '8A', poll_type: 'S', optional_data: ['00', '00', '50', '00', '00'] }
    ])
    const off = await line([machine])
    await off.rounds(1)
    const run = async (l: typeof off, name: string) => {
      let isOver = false
      const running = l.lists.run(name, l.drivers, signal).finally(() => {
        isOver = true
      })
      running.catch(() => undefined)
      // its file is read meanwhile
      while (!isOver) {
        await l.rounds(1)
        await turnOver()
      }
      const [first] = await running
      return first!.items.map(({ poll, is, values }) => [poll, is, values])
    }
    const credits = ['1a', 'answered', { credits: 321 }]
    deepEqual(await run(off, 'look'), [credits, ['55', 'answered', { game: 1 }], credits])
    await rejects(run(off, 'close'), { name: 'PollRefusedError' })
    ok(machine.acceptsBills)
    equal(off.noted('command').filter(({ is }) => is === 'tried').length, 3)
    await rejects(run(off, 'pay'), /line 1: \[1\]\.command: 8A moves money/)
    for (const name of ['none', '../do_once', '']) await rejects(run(off, name), { name: 'UnknownSetError' })
    deepEqual(
      (await off.lists.sets()).map(({ name, polls, why }) => [name, polls, why != null]),
      [
        ['close', 2, false],
        ['look', 3, false],
        ['pay', 0, true]
      ]
    )
    const on = await line([machine], { control: true })
    await on.rounds(1)
    deepEqual(await run(on, 'close'), [credits, ['07', 'acknowledged', undefined]])
    equal(machine.acceptsBills, false)
    // whatever stands in a file
    deepEqual(machine.paid, [])
    deepEqual(
      [...off.commands(), ...on.commands()].filter(each => ['8a', '72', '94'].includes(each)),
      []
    )
  })

  it('takes the line of settings.json, in numbers or digits', async () => {
    equal(await machineOf(folder), undefined)
    const settings = {
      db_driver: '{ODBC Driver 17 for SQL Server}',
      com_port: '/dev/ttyUSB0',
      wakeup_bit: '128'
    }
    for (const as of [String, Number]) {
      await write('settings.json', { ...settings, baudrate: as(19200), address: as(3) })
      deepEqual(await machineOf(folder), { place: '/dev/ttyUSB0#3', baudRate: 19_200 })
    }
    await write('settings.json', '{\n"com_port": "COM3"}')
    await rejects(machineOf(folder), /line 2: com_port: must be/)
    await write('settings.json', '{"com_port": "/dev/ttyS0",\n\n"address": "200"}')
    await rejects(machineOf(folder), /line 3: address: must be 1 to 16/)
  })
})
