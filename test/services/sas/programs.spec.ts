import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turnOver } from 'node:timers/promises'
import fc from 'fast-check'
import { shutWayOut } from '../../../bootstrap/way-out.ts'
import { guarded } from '../../../services/sas/line/guard.ts'
import { createMachine } from '../../../services/sas/machine/machine.ts'
import { exchanged } from '../../../services/sas/money/amount.ts'
import type { Commands } from '../../../services/sas/programs/contract.ts'
import { loadPrograms } from '../../../services/sas/programs/load.ts'
import { createPrograms } from '../../../services/sas/programs/run-programs.ts'
import { Machine } from './machine.ts'

declare global {
  /** what the programs of a test have begun with */
  var programsOfTest: Commands[]
}

describe('sas: programs with a machine', () => {
  let folder: string
  beforeEach(async () => {
    globalThis.programsOfTest = []
    folder = await mkdtemp(join(tmpdir(), 'artel-sas-programs-'))
    await mkdir(join(folder, 'handlers'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const program = (name: string, text: string, mode = 0o600): Promise<void> =>
    writeFile(join(folder, 'handlers', name), text, { mode })

  /** A machine with the programs of the folder; `goOn` is its loop until something is so. */
  async function start(
    machine: Machine,
    isControl = false,
    log: { kind: string; body: Record<string, unknown> }[] = []
  ) {
    let now = 1_000_000
    const end = new AbortController()
    const states = new Map<string, string>()
    const sent: string[] = []
    const ordered: unknown[] = []
    const programs = createPrograms({
      folder,
      devices: {
        async command(wanted, by) {
          ordered.push({ ...wanted, by })
          return { id: 'an id', is: 'proposed' } as never
        }
      },
      run: async (_, set) => [{ poll: set, is: 'silent' }],
      onState: (what, why) => void (why == null ? states.delete(what) : states.set(what, why)),
      now: () => now,
      signal: end.signal
    })
    const driver = await createMachine({
      lineName: '/dev/line',
      address: 1,
      line: guarded(
        {
          errors: 0,
          async ask(message) {
            now += 20
            sent.push(Buffer.from(message).toString('hex'))
            return machine.message(message, now)
          }
        },
        () => isControl
      ),
      devices: {
        open: async () => ({
          id: 'sas:A-17',
          async event(kind, body) {
            log.push({ kind, body: body as never })
            return undefined
          },
          sample: async () => undefined,
          latest: async kind => log.filter(each => each.kind === kind).at(-1)?.body,
          before: async () => undefined,
          samples: async () => [],
          close() {}
        })
      },
      commands: () => ({}),
      due: async () => {},
      onException: code => programs.tell('/dev/line', 1, code),
      meterSeconds: () => 3600,
      now: () => now
    })
    await programs.begin(driver)
    async function goOn(isOver: () => boolean, rounds = 1_000): Promise<void> {
      for (let i = 0; !isOver(); i++) {
        ok(i < rounds, 'it goes on for too long')
        await driver.step(end.signal)
        await turnOver()
      }
    }
    async function of<T>(asked: Promise<T>): Promise<T> {
      let isOver = false
      const over = (): void => {
        isOver = true
      }
      asked.then(over, over)
      await goOn(() => isOver)
      return asked
    }
    await goOn(() => driver.state.isUp)
    return {
      programs,
      driver,
      goOn,
      of,
      states,
      log,
      sent,
      ordered,
      end,
      commands: globalThis.programsOfTest[0]!
    }
  }

  const KEEP = 'export default machine => { globalThis.programsOfTest.push(machine) }'

  it('ask for what it says, and get it as values', async () => {
    await program('keep.ts', KEEP)
    const machine = new Machine({ address: 1, serial: 'A-17' })
    machine.add(0x00, 500)
    machine.add(0x0d, 2_345_678_901n)
    machine.add(0x0c, 321)
    const { commands, of } = await start(machine)
    equal(commands.place, '/dev/line#1')
    deepEqual(await of(commands.meters([0x00, 0x0d])), { coinIn: 500, '0d': 2_345_678_901 })
    // more than one poll can ask for
    equal(
      Object.keys((await of(commands.meters(Array.from({ length: 23 }, (_, i) => i + 0x40))))!).length,
      23
    )
    const { version, game, serial, isUp } = await of(commands.machine())
    deepEqual([version, game, serial, isUp], ['602', 'AT', 'A-17', true])
    deepEqual((await of(commands.raw('1a'))).values, { credits: 321 })
    deepEqual((await of(commands.raw({ command: '55', poll_type: 'R' }))).values, { game: 1 })
    deepEqual(await of(commands.run('morning')), [{ poll: 'morning', is: 'silent' }])
    await rejects(of(commands.lock()), { name: 'PollRefusedError' })
    for (const poll of ['8a0000050000', '94'])
      await rejects(of(commands.raw(poll)), { name: 'PollRefusedError' })
    throws(() => commands.raw({ command: '8A', poll_type: 'S' }), /moves money/)
    // a part of it would be another poll
    for (const poll of ['', '01zz', '1a0']) throws(() => commands.raw(poll), { name: 'FrameError' })
    await rejects(of(commands.raw('1a', { signal: AbortSignal.abort() })), { name: 'AbortError' })
    deepEqual(machine.paid, [])
  })

  it('change what it does where control is on, and only propose what moves money', async () => {
    await program('keep.ts', KEEP)
    const machine = new Machine({ address: 1, serial: 'A-17' })
    const { commands, of, ordered, sent } = await start(machine, true)
    equal((await of(commands.lock())).is, 'acknowledged')
    ok(machine.isLocked)
    equal((await of(commands.bills(false))).is, 'acknowledged')
    ok(!machine.acceptsBills)
    await of(commands.setTime(new Date(2025, 10, 27, 19, 21, 16)))
    equal(machine.clock, '11272025192116')
    await of(commands.enable())
    ok(!machine.isLocked)
    const second = '12D3KooWother'
    deepEqual(await of(commands.jackpot('10.00', { rate: '2.55', second })), {
      ...{ id: 'an id', is: 'proposed', amount: '3.92' },
      left: '0.004'
    })
    await of(commands.transfer('5.00', { second, back: true }))
    await rejects(of(commands.jackpot('0.001', { second })), { name: 'RangeError' })
    const base = { device: 'sas:A-17', second, minutes: 1, by: 'handlers/keep.ts' }
    deepEqual(ordered, [
      { ...base, name: 'bonus', args: { amount: '3.92' } },
      { ...base, name: 'collect', args: { amount: '5.00' } }
    ])
    deepEqual(
      sent.filter(each => /^01(72|8a|94)/.test(each)),
      []
    )
  })

  it('exchange exactly, and say what is left', () => {
    deepEqual(exchanged('100', '1'), { amount: '100.00', left: '0' })
    deepEqual(exchanged('100.00', '3'), { amount: '33.33', left: '0.01' })
    for (const [value, rate] of [
      ['1', '0'],
      ['x', '1'],
      ['1', '-1'],
      ['0.01', '2'],
      ['1e3', '1']
    ])
      throws(() => exchanged(value!, rate!), { name: 'RangeError' })
    const digits = fc.integer({ min: 1, max: 1e9 })
    fc.assert(
      fc.property(digits, digits, (value, rate) => {
        const [text, per] = [value, rate].map(each => (each / 1e4).toFixed(4)) as [string, string]
        fc.pre((100 * value) / rate >= 1)
        const { amount, left } = exchanged(text, per)
        const parts = (decimal: string, to: number): bigint => {
          const [whole, part = ''] = decimal.split('.')
          return BigInt(whole! + part.padEnd(to, '0'))
        }
        // amount × rate + left is the value, and less than a hundredth more is left
        const paid = parts(amount, 2) * BigInt(rate)
        equal(paid + parts(left, 6), BigInt(value) * 100n)
        ok(parts(left, 6) < BigInt(rate))
      })
    )
  })

  it('hear each exception once it is in the log, one after the other; what one throws holds up nothing', async () => {
    await program('keep.ts', KEEP)
    await program(
      'throws.ts',
      `export default machine => { machine.on(0x11, () => { throw new Error('a mistake') }) }`
    )
    await program('none.ts', 'export const a = 1')
    await program('broken.ts', 'export default (')
    await program('open.ts', KEEP, 0o644)
    const machine = new Machine({ address: 1, serial: 'A-17' })
    const { commands, goOn, of, states, log } = await start(machine)
    equal(globalThis.programsOfTest.length, 1)
    match(states.get('handlers/none.ts')!, /no function/)
    match(states.get('handlers/open.ts')!, /chmod 600/)
    ok(states.has('handlers/broken.ts'))
    const heard: number[] = []
    const values: unknown[] = []
    let running = 0
    const stop = commands.on('any', async ({ code }, wait) => {
      equal(running++, 0)
      equal(log.filter(({ kind }) => kind === 'exception').at(heard.length)!.body.code, code)
      heard.push(code)
      values.push((await commands.raw('1a', wait)).values)
      running--
    })
    const end = new AbortController()
    const doors: number[] = []
    commands.on(0x11, ({ what }) => void doors.push(what!.length), end)
    for (const code of [0x11, 0x12, 0x11]) machine.raise(code)
    await goOn(() => values.length === 3)
    deepEqual(heard, machine.happened)
    deepEqual(
      commands.exceptions().map(({ code }) => code),
      machine.happened
    )
    equal(doors.length, 2)
    equal(states.get('handlers/throws.ts'), 'a mistake')
    stop()
    end.abort()
    machine.raise(0x11)
    await goOn(() => machine.waiting === 0 && commands.exceptions().length === 4)
    await of(commands.raw('1a'))
    deepEqual([heard.length, doors.length], [3, 2])
  })

  it('that never come, or cannot be looked for, are told and keep no machine from being polled', async () => {
    await program('waits.ts', 'await new Promise(() => undefined)')
    const [waits] = await loadPrograms(folder, AbortSignal.abort(new Error('too late')))
    deepEqual([waits!.name, waits!.run], ['handlers/waits.ts', undefined])
    match(waits!.why!, /too late/)
    await rm(join(folder, 'handlers'), { recursive: true })
    await writeFile(join(folder, 'handlers'), '')
    const { states, driver } = await start(new Machine({ address: 1, serial: 'A-17' }))
    match(states.get('handlers')!, /not a directory/)
    ok(driver.state.isUp)
  })

  it('are not begun while a release is on trial, as what they tell others cannot be taken back', async () => {
    await program('tells.ts', `globalThis.programsOfTest.push('its first line'); ${KEEP}`)
    const { signal } = new AbortController()
    {
      using _ = shutWayOut()
      const [{ name, run, why } = {}] = await loadPrograms(folder, signal)
      deepEqual([name, run], ['handlers/tells.ts', undefined])
      match(why!, /on trial/)
    }
    deepEqual(globalThis.programsOfTest, [])
    ok((await loadPrograms(folder, signal))[0]!.run)
    deepEqual(globalThis.programsOfTest, ['its first line'])
  })

  it('need not ask what a handpay is: it is asked, and known after a restart', async () => {
    const machine = new Machine({ address: 1, serial: 'A-17' })
    const first = await start(machine)
    const { log, sent } = first
    machine.winHandpay(500n, 1_000_000)
    await first.goOn(() => sent.some(message => message.startsWith('011b')))
    await first.goOn(() => log.some(({ kind, body }) => kind === 'command' && body.is === 'answered'))
    deepEqual(
      log.filter(({ kind }) => kind === 'handpay').map(({ body }) => body),
      [{ waits: true }]
    )
    ok(first.driver.isHandpayPending)
    // the machine says it no more
    const { driver, goOn } = await start(machine, false, log)
    ok(driver.isHandpayPending)
    machine.raise(0x52)
    await goOn(() => !driver.isHandpayPending)
    await goOn(() => log.filter(({ kind }) => kind === 'handpay').length === 2)
    deepEqual(log.filter(({ kind }) => kind === 'handpay').at(-1)!.body, { waits: false })
  })
})
