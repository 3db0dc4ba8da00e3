import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { MIGRATIONS } from '../../../services/sas/migrations.ts'
import { type Facts, whyNot } from '../../../services/sas/money/allow.ts'
import { centsOf, textOf } from '../../../services/sas/money/amount.ts'
import { type MoneyFile, readMoneyFile } from '../../../services/sas/money/file.ts'
import {
  bonusPoll,
  handpayResetPoll,
  registrationOf,
  registrationPoll,
  transferPoll,
  transferStatusOf,
  transferStatusPoll
} from '../../../services/sas/money/frames.ts'
import { createJournal, type Journal } from '../../../services/sas/money/journal.ts'
import type { Order } from '../../../services/sas/money/order.ts'
import { createPayments } from '../../../services/sas/money/pay.ts'
import { type Evidence, endingOf, settle } from '../../../services/sas/money/settle.ts'
import { Machine, sealed } from './machine.ts'

const KEY = '000102030405060708090a0b0c0d0e0f10111213'
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
/** with the checksum of the simulated machine, which is not ours */
const framed = (text: string): string => hex(sealed([...Buffer.from(text.replaceAll(' ', ''), 'hex')]))

describe('sas: frames that move money', () => {
  it('are what the tables say, byte for byte', () => {
    equal(
      hex(
        transferPoll(1, {
          type: 'transfer',
          cents: 12_345n,
          id: 'ab12',
          asset: 0x01020304,
          key: Buffer.from(KEY, 'hex')
        })
      ),
      framed(
        `01 72 39 00 00 00 0000012345 0000000000 0000000000 00 04030201 ${KEY} 04 61623132 00000000 0000 00 0000`
      )
    )
    for (const [type, code] of [
      ['bonus', '11'],
      ['collect', '80']
    ] as const)
      equal(
        hex(transferPoll(1, { type, cents: 1n, id: 'a', asset: 1, key: new Uint8Array(20) })).slice(10, 12),
        code
      )
    // the length byte counts what follows: 53 and the id
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), length => {
        const frame = transferPoll(1, {
          type: 'transfer',
          cents: 1n,
          id: 'x'.repeat(length),
          asset: 1,
          key: new Uint8Array(20)
        })
        return frame[2] === 53 + length && frame.length === frame[2]! + 5
      })
    )
    equal(hex(transferStatusPoll(1)), framed('01 72 02 ff 00'))
    equal(hex(registrationPoll(1)), '017301ffa765')
    equal(hex(bonusPoll(1, 1_250n)), framed('01 8a 00001250 00'))
    equal(hex(handpayResetPoll(1)), framed('01 94'))
    deepEqual(transferStatusOf(1, sealed([1, 0x72, 2, 0, 0x40])), { status: 0x40, id: undefined })
    const answer = (id: string, rest: string) =>
      Buffer.from(framed(`01 72 ${id} ${rest}`.replaceAll(' ', '')), 'hex')
    // length, position, status, receipt, type, three amounts, flags, asset; then the id, and dates, pool and meters
    const head = `00 40 ff 00 ${'00'.repeat(15)} 00 04030201`
    const tail = `11302026 120000 00000000 0000 00 00 00`
    deepEqual(transferStatusOf(1, answer('2d', `${head} 04 61623132 ${tail}`)), { status: 0x40, id: 'ab12' })
    deepEqual(transferStatusOf(1, answer('29', `${head} 00 ${tail}`)), { status: 0x40, id: undefined })
    const found = registrationOf(
      1,
      sealed([1, 0x73, 0x1d, 1, 4, 3, 2, 1, ...Buffer.from(KEY, 'hex'), 0, 0, 0, 0])
    )
    deepEqual([found.asset, hex(found.key)], [0x01020304, KEY])
  })

  it('hold amounts exactly', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 9_999_999_999n), cents => {
        equal(centsOf(textOf(cents)), cents)
      })
    )
    deepEqual(['12.5', '0.07', '3', '99999999.99'].map(centsOf), [1_250n, 7n, 300n, 9_999_999_999n])
    for (const text of ['', '.5', '1.', '-1', '1e3', '1.005', '1,5', ' 1', '123456789'])
      equal(centsOf(text), undefined, text)
  })
})

const A = `12D3KooW${'a'.repeat(44)}`
const B = `12D3KooW${'b'.repeat(44)}`
const NOW = Date.UTC(2026, 10, 30, 12)

const FILE: MoneyFile = {
  money: 'on',
  perCommand: '50.00',
  perDay: '100.00',
  machines: {}
}
const ORDER: Order = {
  id: '0b9f3c3a-6f4e-4d4e-9a53-0f0f5e1b2c3d',
  hash: '0'.repeat(64),
  machine: 'A-17',
  does: 'bonus',
  amount: '12.50',
  signers: [A, B]
}
const FACTS: Facts = {
  file: FILE,
  machine: { line: 'l', address: 1, isUp: true, serial: 'A-17', heardAt: NOW - 100, exceptions: 0 },
  today: 0n,
  open: undefined,
  now: NOW
}

describe('sas: an order that moves money', () => {
  it('is carried out only when everything is right', () => {
    equal(whyNot(ORDER, FACTS), undefined)
    const machine = FACTS.machine!
    const wrong: [Partial<Order>, Partial<Facts>, RegExp][] = [
      [{ amount: '50.01' }, {}, /more than 50.00/],
      [{}, { today: 8_751n }, /87.51 of 100.00/],
      [{}, { machine: undefined }, /answers here/],
      [{}, { machine: { ...machine, isUp: false } }, /answers here/],
      [{}, { machine: { ...machine, heardAt: NOW - 5_001 } }, /not heard/],
      [{}, { open: 'x' }, /no end yet/]
    ]
    for (const [order, facts, why] of wrong)
      match(whyNot({ ...ORDER, ...order }, { ...FACTS, ...facts }) ?? 'it is carried out', why)
    equal(whyNot({ ...ORDER, amount: '50.00' }, { ...FACTS, today: 5_000n }), undefined)
  })

  it('needs a file that is its owner’s alone, and whole', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-sas-money-'))
    try {
      const path = join(folder, 'money.json')
      const why = async (): Promise<string> => {
        const read = await readMoneyFile(path)
        return 'why' in read ? read.why : 'on'
      }
      match(await why(), /cannot be read/)
      await writeFile(path, JSON.stringify(FILE), { mode: 0o600 })
      equal(await why(), 'on')
      await chmod(path, 0o640)
      match(await why(), /chmod 600/)
      await chmod(path, 0o600)
      const changed: [object | string, RegExp][] = [
        [{ ...FILE, money: 'off' }, /money is off in/],
        [{ ...FILE, perDay: undefined }, /perDay/],
        [{ ...FILE, perDay: '-1' }, /perDay/],
        // who may order stands in the document of the fleet
        [{ ...FILE, grants: [] }, /grants/],
        [{ ...FILE, machines: { x: { asset: 1, key: 'ab' } } }, /20 bytes/],
        ['{', /cannot be read/]
      ]
      for (const [content, expected] of changed) {
        await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
        match(await why(), expected)
      }
      match(JSON.stringify(await readMoneyFile(undefined)), /money is off/)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('sas: how an order ended', () => {
  it('is said by its answer where there is one', () => {
    deepEqual(endingOf(1, Uint8Array.of(1), 'ab'), { is: 'done' })
    equal(endingOf(1, Uint8Array.of(0x81), 'ab')?.is, 'failed')
    equal(endingOf(1, undefined, 'ab'), undefined)
    const status = (code: number) => endingOf(1, sealed([1, 0x72, 2, 0, code]), 'ab')
    // pending, done, and an id that came here before: the machine is asked
    for (const code of [0x40, 0x00, 0x81]) equal(status(code), undefined)
    deepEqual(status(0x89), { is: 'failed', why: 'another key' })
    equal(status(0xc0)?.is, 'failed')
    // what it says of another transfer is no answer to this one
    const of = (id: string) =>
      endingOf(
        1,
        sealed([1, 0x72, 27, 0, 0x89, ...new Array(22).fill(0), id.length, ...Buffer.from(id)]),
        'ab'
      )
    deepEqual([of('ab')?.is, of('cd')], ['failed', undefined])
  })

  it('is what status, meter and exceptions agree on, and unknown where they do not', () => {
    const asked: Evidence = {
      does: 'transfer',
      status: 0x00,
      before: 0xff,
      isOurs: undefined,
      credits: 100n,
      grown: 100n,
      isTaken: true,
      heard: [],
      ageMs: 100
    }
    const bonus: Evidence = { ...asked, does: 'bonus', status: undefined, before: undefined, isTaken: false }
    const handpay: Evidence = { ...bonus, does: 'handpay', grown: 0n }
    const late = 6_000
    const is = (found: Evidence): string => settle(found)?.is ?? 'open'
    const cases: [Evidence, string][] = [
      [asked, 'done'],
      [{ ...asked, status: 0x40, ageMs: 1e9 }, 'open'],
      [{ ...asked, grown: 0n }, 'open'],
      [{ ...asked, grown: 0n, ageMs: late }, 'unknown'],
      [{ ...asked, grown: 90n, ageMs: late }, 'unknown'],
      [{ ...asked, status: 0x81 }, 'done'],
      [{ ...asked, status: 0x84, grown: 0n }, 'failed'],
      [{ ...asked, isTaken: false, status: 0xff, grown: 0n }, 'open'],
      [{ ...asked, isTaken: false, status: 0xff, grown: 0n, ageMs: late }, 'failed'],
      // the one before is still the last
      [{ ...asked, isTaken: false, before: 0x00, grown: 0n, ageMs: late }, 'failed'],
      // … but it has said that it does it, or that it is done
      [{ ...asked, before: 0x00, grown: 0n, ageMs: late }, 'unknown'],
      [{ ...asked, isTaken: false, before: 0x00, grown: 0n, heard: [0x69], ageMs: late }, 'unknown'],
      // what another transfer came to is no evidence, and what this one came to is
      [{ ...asked, isOurs: false }, 'open'],
      [{ ...asked, isOurs: false, ageMs: late }, 'unknown'],
      [{ ...asked, isOurs: false, isTaken: false, status: 0x84, grown: 0n }, 'open'],
      [{ ...asked, isOurs: false, isTaken: false, status: 0x84, grown: 0n, ageMs: late }, 'unknown'],
      [{ ...asked, isOurs: false, isTaken: false, before: 0x00, grown: 0n, ageMs: late }, 'failed'],
      [{ ...asked, isOurs: true, isTaken: false, before: 0x00, grown: 0n, ageMs: late }, 'unknown'],
      [{ ...asked, isOurs: true, before: 0x84, status: 0x84, grown: 0n }, 'failed'],
      [bonus, 'open'],
      [{ ...bonus, heard: [0x7c] }, 'done'],
      [{ ...bonus, grown: 0n, ageMs: late }, 'failed'],
      [{ ...bonus, grown: 0n, heard: [0x7c], ageMs: late }, 'unknown'],
      [{ ...bonus, grown: 100n, ageMs: late }, 'unknown'],
      [handpay, 'open'],
      [{ ...handpay, heard: [0x52] }, 'done'],
      [{ ...handpay, heard: [0x51] }, 'open'],
      [{ ...handpay, heard: [0x51], ageMs: late }, 'failed'],
      [{ ...handpay, ageMs: 46_000 }, 'unknown']
    ]
    for (const [i, [found, expected]] of cases.entries()) equal(is(found), expected, `case ${i}`)
    ok(settle({ ...asked, status: 0x84, grown: 0n })?.why === 'beyond the limit of the machine')
  })
})

describe('sas: an order that was tried', () => {
  /** Payments over this journal at a machine that never got it; its clock and that of the process are set by hand. */
  function paymentsOf(journal: Journal, clocks: { now: number; uptime: number }) {
    const machine = new Machine({ address: 1, serial: 'A-17' })
    const turn = {
      address: 1,
      serial: 'A-17',
      long: async (message: Uint8Array) => machine.message(message, 0),
      hear: async () => true,
      note: async () => undefined
    }
    return createPayments({
      file: async () => FILE,
      journal,
      machines: () => [
        { state: FACTS.machine, turn: (work: (given: typeof turn) => unknown) => work(turn) } as never
      ],
      now: () => clocks.now,
      uptime: () => clocks.uptime
    })
  }
  const TRIED = {
    id: ORDER.id,
    hash: ORDER.hash,
    machine: 'A-17',
    place: 'l#1',
    does: 'transfer',
    cents: 1_250,
    credits: 1_250,
    signers: [A, B],
    before: { status: 0xff, meter: 0 }
  } as const
  const { signal } = new AbortController()

  it('has not arrived after seconds of this process, whatever the clock is set to', async () => {
    using db = new DatabaseSync(':memory:')
    for (const each of MIGRATIONS) db.exec(each)
    const clocks = { now: NOW, uptime: 1_000 }
    const journal = createJournal(db, () => clocks.now)
    const payments = paymentsOf(journal, clocks)
    journal.begin({ ...TRIED, signers: [...TRIED.signers] })
    clocks.now += 3_600_000
    await payments.look(signal)
    clocks.uptime += 5_000
    await payments.look(signal)
    equal(journal.find(ORDER.id)?.ending, undefined)
    clocks.uptime += 1
    // another process waits anew
    await paymentsOf(journal, clocks).look(signal)
    equal(journal.find(ORDER.id)?.ending, undefined)
    await payments.look(signal)
    deepEqual(journal.find(ORDER.id)?.ending, { is: 'failed', why: 'it has not arrived' })
  })

  it('gives its outcome to itself, and to no other order of its id', async () => {
    using db = new DatabaseSync(':memory:')
    for (const each of MIGRATIONS) db.exec(each)
    const journal = createJournal(db, () => NOW)
    const payments = paymentsOf(journal, { now: NOW, uptime: 0 })
    journal.begin({ ...TRIED, signers: [...TRIED.signers] })
    journal.end(ORDER.id, { is: 'done' })
    deepEqual(await payments.pay(ORDER, signal), { is: 'done' })
    await rejects(payments.pay({ ...ORDER, hash: '1'.repeat(64) }, signal), {
      name: 'PollRefusedError',
      message: /another order/
    })
  })

  it('is known from a database of before, which kept no hashes', async () => {
    using db = new DatabaseSync(':memory:')
    db.exec(MIGRATIONS[0]!)
    db.exec(`INSERT INTO payment (id, machine, place, does, cents, credits, signers, at, before_meter, ending)
      VALUES ('${ORDER.id}', 'A-17', 'l#1', 'bonus', 1250, 1250, '[]', ${NOW}, 0, 'done')`)
    for (const each of MIGRATIONS.slice(1)) db.exec(each)
    const journal = createJournal(db, () => NOW)
    equal(journal.find(ORDER.id)?.hash, undefined)
    deepEqual(await paymentsOf(journal, { now: NOW, uptime: 0 }).pay(ORDER, signal), { is: 'done' })
  })
})
