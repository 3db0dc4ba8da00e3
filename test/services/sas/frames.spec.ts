import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict'
import fc from 'fast-check'
import { fromBcd, toBcd } from '../../../services/sas/bcd.ts'
import { crcOf } from '../../../services/sas/crc.ts'
import {
  ackOf,
  clockPoll,
  dataOf,
  denominationAnswer,
  denominationOf,
  featuresAnswer,
  featuresOf,
  gameInfoAnswer,
  gameInfoOf,
  generalPoll,
  longMetersPoll,
  longPoll,
  machineIdAnswer,
  machineIdOf,
  metersAnswer,
  metersOf,
  metersPoll,
  readPoll,
  valuesAnswer,
  valuesOf
} from '../../../services/sas/frames.ts'
import { guarded, riskOfMessage } from '../../../services/sas/line/guard.ts'
import { growthOf } from '../../../services/sas/meters.ts'
import { ASKED_WITH_DATA, READS, riskOf } from '../../../services/sas/tables/polls.ts'
import { createRandom } from '../../simulation/random.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (frame: Uint8Array): string => Buffer.from(frame).toString('hex').toUpperCase()

/** Of traces and of a public guide; two of them calculated by hand. */
const REQUESTS: Record<string, Uint8Array> = {
  '0102CA3A': longPoll(1, 0x02),
  '010E00CCC0': longPoll(1, 0x0e, bytes('00')),
  '012E00009B0F': longPoll(1, 0x2e, bytes('0000')),
  '01AF0400000C002EA6': longMetersPoll(1, 0xaf, 0, [0x0c]),
  '01A000006C13': longPoll(1, 0xa0, bytes('0000')),
  '0174FF0000001AF9': longPoll(1, 0x74, bytes('FF000000')),
  '01530001B561': longPoll(1, 0x53, bytes('0001')),
  '017F11272025192116D910': clockPoll(1, new Date(2025, 10, 27, 19, 21, 16)),
  '017B0829002100003000009105': longPoll(1, 0x7b, bytes('082900210000300000')),
  '017301FFA765': longPoll(1, 0x73, bytes('01FF')),
  '012F090000240001040607038AE2': metersPoll(1, 0, [0x24, 0x00, 0x01, 0x04, 0x06, 0x07, 0x03])
}
const ANSWERS = {
  credits: '011A000166609CF4',
  games: '01510006B2A0',
  game: '015500016CB7',
  denomination: '01B101E368',
  totals: '01190045204000861480004130780063449400002062D5CE',
  id: '01540936303230303030303170CD',
  meter: '01AF0900000C0004000166605338',
  info: '011F415430303001FF000000363339323820393036382613',
  features: '01A00000D7CD050000008F1F'
}

describe('sas: frames', () => {
  it('are asked byte for byte as machines were', () => {
    for (const [expected, frame] of Object.entries(REQUESTS)) equal(hex(frame), expected)
    equal(hex(generalPoll(1)), '81')
    equal(hex(readPoll(1, 0x1a)), '011A')
  })

  it('are read, and written back to the same bytes', () => {
    deepEqual(valuesOf(1, 0x1a, bytes(ANSWERS.credits)), { credits: 16_660n })
    equal(hex(valuesAnswer(1, 0x1a, [16_660n])), ANSWERS.credits)
    deepEqual(valuesOf(1, 0x51, bytes(ANSWERS.games)), { games: 6n })
    equal(hex(valuesAnswer(1, 0x51, [6n])), ANSWERS.games)
    deepEqual(valuesOf(1, 0x55, bytes(ANSWERS.game)), { game: 1n })
    equal(hex(valuesAnswer(1, 0x55, [1n])), ANSWERS.game)
    const totals = { coinIn: 452_040n, coinOut: 861_480n, drop: 413_078n, jackpot: 634_494n, games: 2_062n }
    deepEqual(valuesOf(1, 0x19, bytes(ANSWERS.totals)), totals)
    equal(hex(valuesAnswer(1, 0x19, Object.values(totals))), ANSWERS.totals)
    deepEqual(machineIdOf(1, bytes(ANSWERS.id)), { version: '602', serial: '000001' })
    equal(hex(machineIdAnswer(1, { version: '602', serial: '000001' })), ANSWERS.id)
    const meters = [{ code: 0x0c, bytes: 4, value: 16_660n }]
    deepEqual(metersOf(1, 0xaf, bytes(ANSWERS.meter)), { game: 0, meters })
    equal(hex(metersAnswer(1, 0xaf, 0, meters)), ANSWERS.meter)
    const info = gameInfoOf(1, bytes(ANSWERS.info))
    deepEqual(info, {
      id: 'AT',
      more: '000',
      denomination: 1,
      maxBet: 255,
      progressive: 0,
      options: 0,
      paytable: '63928 ',
      basePercent: '9068'
    })
    equal(hex(gameInfoAnswer(1, info)), ANSWERS.info)
    equal(denominationOf(1, bytes(ANSWERS.denomination)), 1)
    equal(hex(denominationAnswer(1, 1)), ANSWERS.denomination)
    const features = { game: 0, features: bytes('D7CD05000000') }
    deepEqual(featuresOf(1, bytes(ANSWERS.features)), features)
    equal(hex(featuresAnswer(1, features)), ANSWERS.features)
  })

  it('have the checksum of CRC-16/Kermit', () => {
    equal(crcOf(Buffer.from('123456789')), 0x2189)
  })

  it('with one or two wrong bits are refused', () => {
    for (const text of [...Object.values(ANSWERS), ...Object.keys(REQUESTS)]) {
      const frame = bytes(text)
      const bits = frame.length * 8
      for (let a = 0; a < bits; a++)
        for (let b = a; b < bits; b++) {
          const wrong = frame.slice()
          wrong[a >> 3]! ^= 1 << (a & 7)
          if (b !== a) wrong[b >> 3]! ^= 1 << (b & 7)
          ok(crcOf(wrong) !== 0, `${text} with bits ${a} and ${b}`)
        }
    }
  })

  it('of another machine, to another poll, or all zero are refused', () => {
    const frame = bytes(ANSWERS.credits)
    throws(() => dataOf(2, 0x1a, frame), { name: 'FrameError' })
    throws(() => dataOf(1, 0x19, frame), { name: 'FrameError' })
    throws(() => dataOf(1, 0x1a, new Uint8Array(8)), { name: 'FrameError' })
  })

  it('throw nothing but typed errors, whatever comes', () => {
    const readers = [
      (frame: Uint8Array) => metersOf(1, 0x2f, frame),
      (frame: Uint8Array) => metersOf(1, 0xaf, frame),
      (frame: Uint8Array) => machineIdOf(1, frame),
      (frame: Uint8Array) => gameInfoOf(1, frame),
      (frame: Uint8Array) => valuesOf(1, 0x19, frame)
    ]
    const commands = [0x2f, 0xaf, 0x54, 0x1f, 0x19]
    fc.assert(
      fc.property(fc.nat(4), fc.uint8Array({ maxLength: 60 }), (which, data) => {
        try {
          // with a right checksum, so that what is behind it is tried too
          readers[which]!(longPoll(1, commands[which]!, data))
        } catch (error) {
          equal((error as Error).name, 'FrameError')
        }
      }),
      { numRuns: 5_000 }
    )
  })

  it('are not found in a million random strings', () => {
    const random = createRandom(3)
    const commands = [
      ...Object.keys({ ...READS, ...ASKED_WITH_DATA }).map(Number),
      0x2f,
      0x6f,
      0xaf,
      0x72,
      0x73
    ]
    const before = Error.stackTraceLimit
    // a million stacks are not what is looked at
    Error.stackTraceLimit = 0
    let taken = 0
    try {
      for (let i = 0; i < 1_000_000; i++) {
        const command = commands[i % commands.length]!
        const frame = Uint8Array.from({ length: Math.floor(random() * 24) }, () => random() * 256)
        // also those that begin as an answer does: there only the checksum is left
        if (i % 2 === 0) frame.set([1, command].slice(0, frame.length))
        try {
          dataOf(1, command, frame)
          taken++
        } catch (error) {
          equal((error as Error).name, 'FrameError')
        }
      }
    } finally {
      Error.stackTraceLimit = before
    }
    // one checksum in 65,536 is right, and then the length is, too, at times
    ok(taken <= 30, `${taken} were taken for frames`)
  })

  it('hold decimal digits that fit', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 10n - 1n), value => {
        equal(fromBcd(toBcd(value, 5)), value)
      })
    )
    throws(() => toBcd(100_000_000n, 4), { name: 'FrameError' })
    throws(() => fromBcd(bytes('1A')), { name: 'FrameError' })
  })

  it('say yes and no with the address', () => {
    equal(ackOf(5, Uint8Array.of(5)), 'ack')
    equal(ackOf(5, Uint8Array.of(0x85)), 'nack')
    equal(ackOf(5, Uint8Array.of(6)), undefined)
  })
})

describe('sas: what a poll may do', () => {
  it('is money for everything that no table knows', () => {
    const none = new Uint8Array()
    for (const command of [0x1a, 0x2f, 0x54, 0xaf]) equal(riskOf(command, none), 'telemetry')
    for (const command of [0x01, 0x02, 0x06, 0x07, 0x0e, 0x7f]) equal(riskOf(command, none), 'control')
    for (const command of [0x72, 0x8a, 0x94, 0x00, 0x99, 0xfe]) equal(riskOf(command, none), 'money')
    equal(riskOf(0x73, bytes('01FF')), 'telemetry')
    equal(riskOf(0x73, bytes('1D00')), 'money')
    equal(riskOf(0x74, bytes('FF000000')), 'telemetry')
    equal(riskOf(0x74, bytes('00000000')), 'money')
    equal(riskOf(0x72, bytes('02FF00')), 'telemetry')
    equal(riskOf(0x7b, bytes('080000000000000000')), 'telemetry')
    // what a machine does with tickets is set by the same poll that asks for it
    for (const data of ['082900210000300000', '080000000000300000'])
      equal(riskOf(0x7b, bytes(data)), 'control', data)
    // what only begins as a question does is none
    for (const [command, data] of [
      [0x72, '02FF0000'],
      [0x72, '0200FF'],
      [0x73, '01FF00'],
      [0x74, 'FF'],
      [0x74, 'FF00000000']
    ] as const)
      equal(riskOf(command, bytes(data)), 'money', data)
    // to all machines at once: nobody answers, and it is no mere question
    equal(riskOfMessage(bytes('000E00')), 'control')
    equal(riskOfMessage(bytes('008A00')), 'money')
    equal(riskOfMessage(bytes('01')), 'money')
  })

  it('goes out for its very bytes, and once, where it moves money', async () => {
    const sent: string[] = []
    const line = guarded(
      {
        errors: 0,
        async ask(message) {
          sent.push(hex(message))
          return undefined
        }
      },
      () => true
    )
    const { signal } = new AbortController()
    const [order, other] = [longPoll(1, 0x8a, bytes('0000000100')), longPoll(1, 0x8a, bytes('0000000200'))]
    const refused = { name: 'PollRefusedError' }
    await rejects(line.ask(order, signal), refused)
    {
      using _permit = line.allowOnce(order)
      await rejects(line.ask(other, signal), refused)
      await line.ask(order, signal)
      await rejects(line.ask(order, signal), refused)
    }
    {
      using _permit = line.allowOnce(order)
    }
    await rejects(line.ask(order, signal), refused)
    deepEqual(sent, [hex(order)])
  })
})

describe('sas: meters', () => {
  it('grow, go past their last digit, or are cleared; never a negative row', () => {
    deepEqual(growthOf(10n, 25n, 4, 1_000n), { delta: 15n, by: 'growth' })
    deepEqual(growthOf(99_999_998n, 3n, 4, 1_000n), { delta: 5n, by: 'rollover' })
    deepEqual(growthOf(5_000n, 3n, 4, 1_000n), { delta: 3n, by: 'reset' })
    fc.assert(
      fc.property(fc.bigInt(0n, 99_999_999n), fc.bigInt(0n, 1_000n), (before, grown) => {
        equal(growthOf(before, (before + grown) % 100_000_000n, 4, 1_000n).delta, grown)
      })
    )
  })
})
