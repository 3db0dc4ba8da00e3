import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import fc from 'fast-check'
import { createBook } from '../../ledger/book/book.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../../ledger/book/checkpoint.ts'
import { DEBT_PER_WRONG, emptyRecord, type WorkRecord } from '../../ledger/book/reputation.ts'
import { levelOf, reputation, signEvidence, signWork, verifyEvidence, workProof } from '../../ledger/index.ts'
import { EVIDENCE_VERSION } from '../../ledger/records/evidence.ts'
import type { Body } from '../../ledger/records/order.ts'
import { tipOf } from '../../ledger/records/segment.ts'
import { grantOrder, runOf, signerFrom, testNetwork } from './helpers.ts'

const requester = signerFrom('requester')
const [cheat, w1, w2, fresh] = ['cheat', 'w1', 'w2', 'fresh'].map(signerFrom) as [
  ReturnType<typeof signerFrom>,
  ReturnType<typeof signerFrom>,
  ReturnType<typeof signerFrom>,
  ReturnType<typeof signerFrom>
]
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

const answer = (worker: typeof cheat, result: string, slice = 7) => {
  const slices = [3, slice].map(n => ({ slice: n, digest: digest(n === slice ? result : 'x'), amount: 5n }))
  return workProof(signWork(worker, testNetwork.id, 'job', slices), 1)
}
const evidenceBy = (others: (typeof cheat)[], slice = 7): Uint8Array =>
  signEvidence(
    requester,
    testNetwork.id,
    'job',
    answer(cheat, 'wrong', slice),
    others.map(other => answer(other, 'right', slice))
  )

/** A book in which each worker was paid for `slices` slices. */
function bookWith(slices: number, workers = [cheat, w1, w2]) {
  const book = createBook(testNetwork)
  const escrow: Body = { type: 'escrow', timeS: 1, job: 'j', amount: 500_000n }
  const settle: Body = {
    type: 'settle',
    timeS: 1,
    job: 'j',
    payments: workers.map(({ account }) => ({ to: account, amount: 100_000n, slices }))
  }
  book.add(runOf(requester, [grantOrder, escrow, settle]))
  return book
}

describe('ledger: evidence', () => {
  it('convicts who signed another result than two others', () => {
    const { accused, others, reporter } = verifyEvidence(evidenceBy([w1, w2]), testNetwork)
    assert.equal(accused.worker, cheat.account)
    assert.deepEqual(
      others.map(({ worker }) => worker),
      [w1.account, w2.account]
    )
    assert.equal(reporter, requester.account)
  })

  it('is nothing without contradiction, without two others, or with somebody else’s words', () => {
    const sign = (others: ReturnType<typeof answer>[]) =>
      signEvidence(requester, testNetwork.id, 'job', answer(cheat, 'wrong'), others)
    const refused = { name: 'MalformedError' }
    assert.throws(() => sign([answer(w1, 'wrong'), answer(w2, 'wrong')]), refused)
    assert.throws(() => sign([answer(w1, 'right')]), refused)
    assert.throws(() => sign([answer(w1, 'right'), answer(w1, 'right')]), refused)
    assert.throws(() => sign([answer(w1, 'right'), answer(w2, 'else')]), refused)
    assert.throws(() => sign([answer(w1, 'right', 8), answer(w2, 'right', 8)]), refused)
    assert.throws(
      () => sign([answer(w1, 'right'), { ...answer(w2, 'right'), worker: fresh.account }]),
      refused
    )
    const bytes = Uint8Array.from(evidenceBy([w1, w2]))
    bytes[bytes.length - 1]! ^= 1
    assert.throws(() => verifyEvidence(bytes, testNetwork), refused)
    assert.throws(() => verifyEvidence(evidenceBy([w1, w2]), { id: 'another' }), refused)
  })

  it('of an earlier version is void, and the standing that it cost is given back', () => {
    const [version, ...claim] = decode<unknown[]>(evidenceBy([w1, w2]))
    assert.equal(version, EVIDENCE_VERSION)
    for (const old of [claim, [1, ...claim]])
      assert.throws(() => verifyEvidence(encode(old), testNetwork), { name: 'MalformedError' })

    const book = bookWith(12)
    book.addEvidence(verifyEvidence(evidenceBy([w1, w2]), testNetwork))
    const bytes = encodeCheckpoint(
      testNetwork.id,
      book.checkpoint({ epoch: 0, next: 20_000, lengths: [0, 0, 0, 0] })
    )
    const recordOf = (checkpoint: Uint8Array): WorkRecord =>
      decodeCheckpoint(checkpoint, testNetwork).accounts.get(cheat.account)!.record
    assert.equal(recordOf(bytes).wrong, 1)
    const old = decode<any[]>(bytes)
    for (const account of old[5]) account[6]?.pop()
    const forgiven = recordOf(encode(old))
    assert.deepEqual(
      [forgiven.accepted, forgiven.wrong, forgiven.debt, forgiven.days[0]![2], forgiven.counted],
      [12, 0, 0, 0, []]
    )
    assert.equal(reputation(forgiven, 20_000).isCapped, false)
  })

  it('counts once, and only if those who contradict have a standing', () => {
    const book = bookWith(10)
    book.addEvidence(verifyEvidence(evidenceBy([w1, fresh]), testNetwork))
    assert.equal(book.record(cheat.account, 100).wrong, 0)
    book.addEvidence(verifyEvidence(evidenceBy([w1, w2]), testNetwork))
    book.addEvidence(verifyEvidence(evidenceBy([w2, w1]), testNetwork))
    assert.equal(book.record(cheat.account, 100).wrong, 1)

    const after = createBook(testNetwork)
    after.load(book.checkpoint({ epoch: 0, next: 101, lengths: [0, 0, 0, 0] }))
    after.addEvidence(verifyEvidence(evidenceBy([w1, w2]), testNetwork))
    assert.equal(after.record(cheat.account, 101).wrong, 1)
  })
})

describe('ledger: reputation', () => {
  const record = (changes: Partial<WorkRecord>): WorkRecord => ({ ...emptyRecord(), ...changes })
  const perfect = (today: number): WorkRecord =>
    record({
      firstDay: today - 90,
      lastDay: today,
      accepted: 1_000_000,
      days: [0, 7, 14, 21].map(ago => [today - ago, 250_000, 0]),
      partners: Array.from({ length: 10 }, (_, i) => `partner ${i}`)
    })

  it('has the levels of verification.md', () => {
    const levels = [1, 0.9, 0.89, 0.7, 0.69, 0.5, 0.49, 0.3, 0.29, 0].map(levelOf)
    assert.deepEqual(levels, [
      'excellent',
      'excellent',
      'good',
      'good',
      'average',
      'average',
      'poor',
      'poor',
      'terrible',
      'terrible'
    ])
  })

  it('weighs the parts as written', () => {
    assert.ok(reputation(perfect(1000), 1000).score > 0.99999)
    // nobody has seen this account: half of success and quality, nothing else
    assert.equal(reputation(emptyRecord(), 1000).score, 0.5 * 0.3 + 0.5 * 0.25)
    // 3 accepted of 4 in 30 days, all of it 10 days ago, first seen 45 days ago, 5 partners, worked off
    const mixed = record({
      firstDay: 955,
      lastDay: 990,
      accepted: 3,
      wrong: 1,
      days: [[990, 3, 1]],
      partners: ['a', 'b', 'c', 'd', 'e']
    })
    const expected = (0.3 * (4 / 6) + 0.25 * (4 / 15) + 0.2 * 0.25 + 0.15 * 0.5 + 0.1 * 0.5) * 2 ** (-3 / 60)
    assert.ok(Math.abs(reputation(mixed, 1000).score - expected) < 1e-12)
  })

  it('decays while idle', () => {
    const scores = [0, 7, 40, 100, 400].map(idle => reputation(perfect(1000), 1000 + idle).score)
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => b - a)
    )
    assert.ok(scores.at(-1)! < 0.1)
  })

  it('lets proven cheating dominate until it is worked off, and a fork for ever', () => {
    const book = bookWith(90_000)
    book.addEvidence(verifyEvidence(evidenceBy([w1, w2]), testNetwork))
    assert.equal(book.record(cheat.account, 1000).debt, 0)
    const base = bookWith(100)
    base.addEvidence(verifyEvidence(evidenceBy([w1, w2]), testNetwork))
    const { debt } = base.record(cheat.account, 1000)
    assert.equal(debt, DEBT_PER_WRONG - 100)
    const caught = { ...perfect(1000), wrong: 1, debt: 1 }
    assert.equal(reputation(caught, 1000).score, 0.29)
    assert.equal(reputation(caught, 1000).level, 'terrible')
    assert.ok(reputation({ ...caught, debt: 0 }, 1000).score > 0.9)
    assert.equal(reputation(perfect(1000), 1000, true).score, 0)
  })

  it('stays between 0 and 1 and never rises by a wrong answer', () => {
    const count = fc.nat(1_000_000)
    const arbitrary = fc.record({
      firstDay: fc.nat(1000),
      lastDay: fc.nat(1000),
      accepted: count,
      wrong: fc.nat(100),
      debt: fc.nat(10),
      days: fc.array(fc.tuple(fc.nat(1000), count, fc.nat(10)), { maxLength: 30 }),
      partners: fc.array(fc.string(), { maxLength: 10 }),
      counted: fc.constant<string[]>([])
    })
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: 1000, max: 2000 }), (any, day) => {
        const { score } = reputation(any, day)
        assert.ok(score >= 0 && score <= 1)
        const worse = {
          ...any,
          wrong: any.wrong + 1,
          days: [...any.days, [day, 0, 1] as [number, number, number]]
        }
        assert.ok(reputation(worse, day).score <= score)
      })
    )
  })

  it('is the same for every order of arrival', () => {
    const first = runOf(requester, [grantOrder, { type: 'escrow', timeS: 1, job: 'j', amount: 100n }])
    const pay: Body = {
      type: 'settle',
      timeS: 1,
      job: 'j',
      payments: [w1, w2, cheat].map(({ account }) => ({ to: account, amount: 30n, slices: 20 }))
    }
    const second = runOf(requester, [pay], { seq: 2, prev: tipOf(first) })
    const steps = [
      (book: ReturnType<typeof createBook>) => void book.add(first),
      (book: ReturnType<typeof createBook>) => void book.add(second),
      (book: ReturnType<typeof createBook>) =>
        book.addEvidence(verifyEvidence(evidenceBy([w1, w2]), testNetwork)),
      (book: ReturnType<typeof createBook>) =>
        book.addEvidence(verifyEvidence(evidenceBy([w1, w2], 8), testNetwork))
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(steps, { minLength: 4 }), order => {
        const book = createBook(testNetwork)
        for (const step of order) step(book)
        assert.deepEqual(
          { ...book.record(cheat.account, 50), counted: [] },
          {
            firstDay: 50,
            lastDay: 50,
            accepted: 20,
            wrong: 2,
            debt: 2 * DEBT_PER_WRONG - 20,
            days: [[50, 20, 2]],
            partners: book.record(w1.account, 50).partners,
            counted: []
          }
        )
      })
    )
  })
})
