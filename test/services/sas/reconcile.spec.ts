import { deepEqual, equal, match } from 'node:assert/strict'
import type { Entry } from '../../../services/sas/page/api.ts'
import { csvOf, reconcile } from '../../../services/sas/page/reconcile.ts'

const entries = (...all: [string, Record<string, unknown>][]): Entry[] =>
  all.map(([kind, body], seq) => ({ agent: 'a', number: 0, seq, at: seq, kind, body }))
const row = (totals: object, grown: object = {}, fell?: object): [string, Record<string, unknown>] => [
  'meters',
  { totals, grown, ...(fell == null ? {} : { fell }) }
]
const exception = (code: number): [string, Record<string, unknown>] => ['exception', { code }]

describe('sas: reconciliation', () => {
  it('adds up what the log says, over a rollover and a reset', () => {
    const report = reconcile(
      entries(
        // what had grown before is not of this report
        row({ coinIn: 99_999_990, bills: 7 }, { coinIn: 500, bills: 7 }),
        exception(0x49),
        exception(0x47),
        row(
          { coinIn: 5, bills: 18 },
          { coinIn: 15, bills: 11, played: 3, won: 1, lost: 2 },
          { coinIn: 'rollover' }
        ),
        ['money', { id: 'x', is: 'tried' }],
        ['money', { id: 'x', is: 'done' }],
        row({ coinIn: 2, bills: 0 }, { coinIn: 2 }, { coinIn: 'reset', bills: 'reset' }),
        // said after the last look at the meters: it may be in them, and is not
        exception(0x4c)
      )
    )
    equal(report.isRight, true)
    deepEqual(report.grown, { coinIn: 17, bills: 11, played: 3, won: 1, lost: 2 })
    deepEqual([report.rollovers, report.resets, report.head?.seq], [1, 2, 7])
    const bills = report.lines.find(({ what }) => what === 'bills')!
    deepEqual([bills.expected, bills.found, bills.entries], [11, 11, [1, 2, 7]])
  })

  it('names what does not: a row that was changed, a bill that nobody said, an order without an end, lost exceptions', () => {
    const wrong = reconcile(
      entries(
        row({ coinIn: 10 }),
        row({ coinIn: 25 }, { coinIn: 14, bills: 5, played: 2, won: 1 }),
        ['money', { id: 'x', is: 'tried' }],
        exception(0x70)
      )
    )
    equal(wrong.isRight, false)
    deepEqual(
      wrong.lines.map(({ what, expected, found, entries: of }) => [what, expected, found, of]),
      [
        ['rows', 1, 0, [1]],
        ['bills', 5, 0, []],
        ['games', 2, 1, [0, 1]],
        ['orders', 1, 0, [2]],
        ['overflows', 0, 1, [3]]
      ]
    )
    match(csvOf('A,"7', wrong), /^machine,sum,.*\r\n"A,""7",rows,1,0,-1,1\r\n/)
    match(csvOf('=1+1', wrong), /\r\n'=1\+1,rows/)
    equal(reconcile([]).isRight, true)
  })
})
