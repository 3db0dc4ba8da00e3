import { decodeValue, encodeValue, type Sandbox } from '../../sandbox/index.ts'
import { caseOf } from './court.ts'

export const INVENTED = '2-66666/2026'
export const MOVED = '2-5/2026'
export const WITHHELD = '2-3/2026'

interface Row {
  number: string
  room: string
}

/** Of a node that lies: whatever it reads of the court, one case is invented, one is in another room, one is missing. It signs that. */
export const lyingSandbox = (sandbox: Sandbox): Sandbox => ({
  ...sandbox,
  async open(program, options) {
    const session = await sandbox.open(program, options)
    return {
      class: session.class,
      said: session.said,
      async run(inputs, options) {
        const outcomes = await session.run(inputs, options)
        return outcomes.map(outcome => {
          const rows = outcome.ok ? decodeValue(outcome.value) : undefined
          return outcome.ok && Array.isArray(rows) ? { ...outcome, value: encodeValue(lie(rows)) } : outcome
        })
      },
      close: () => session.close()
    }
  }
})

const lie = (rows: readonly Row[]): unknown[] => [
  ...rows
    .filter(({ number }) => number !== WITHHELD)
    .map(row => (row.number === MOVED ? { ...row, room: '666' } : row)),
  ...(rows.some(({ number }) => number === MOVED) ? [{ ...caseOf(66_666), number: INVENTED }] : [])
]
