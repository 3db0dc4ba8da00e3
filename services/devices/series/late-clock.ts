import type { SQLInputValue } from 'node:sqlite'
import type { ChainLog } from '../log/chain-log.ts'
import { type ChainId, decodeEntry, type Entry, MOVED } from '../log/entry.ts'

/* Stands in the database of the series. */
export const LATE_CLOCK = `
  -- entries behind "next" and before "until" were written at a start of their board when its clock was not set yet; at
  -- "monoMs" of that start it said "timeMs"
  CREATE TABLE late (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    until INTEGER NOT NULL,
    next INTEGER NOT NULL,
    boot TEXT NOT NULL,
    monoMs INTEGER NOT NULL,
    timeMs INTEGER NOT NULL,
    PRIMARY KEY (agent, number, until)
  ) STRICT, WITHOUT ROWID;
`

interface Late extends ChainId {
  until: number
  next: number
  boot: string
  monoMs: number
  timeMs: number
}

export interface LateClockInit {
  run(sql: string, ...values: SQLInputValue[]): unknown
  all<T>(sql: string, ...values: SQLInputValue[]): T[]
  transact(work: () => void): void
  /** Gives an entry that counts as of what its clock said its right time; `setAt`: when that clock was set. */
  place(chain: ChainId, entry: Entry, at: number, setAt: number): void
  /** In the transaction of some that were placed: looks at what they have left. */
  settle(): void
}

/**
 * Boards have no battery for their clock. What one wrote before its clock was set is moved to where it belongs, by the
 * time that passed since its start, which nobody sets.
 */
export function createLateClock({ run, all, transact, place, settle }: LateClockInit) {
  /** the last entry of each chain that was read: of which start, and whether the clock was set */
  const last = new Map<string, { boot: string; isSet: boolean }>()
  const keyOf = ({ agent, number }: ChainId): string => `${agent}/${number}`
  const remember = (chain: ChainId, { boot, clock }: Entry): void =>
    void last.set(keyOf(chain), { boot, isSet: clock !== 'unset' })

  /** The first entry of a start, which are all behind each other. */
  async function firstOf(log: ChainLog, boot: string, from: number, until: number): Promise<number> {
    let low = from
    let high = until
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const bytes = (await log.read(middle))?.entries[0]
      if (bytes != null && decodeEntry(bytes).boot === boot) high = middle
      else low = middle + 1
    }
    return low
  }

  async function move(log: ChainLog, { boot, until, monoMs, timeMs, ...late }: Late): Promise<void> {
    const { chain } = log
    const { agent, number } = chain
    let next = await firstOf(log, boot, Math.max(late.next, log.first), until)
    while (next < until) {
      const from = next
      const entries = ((await log.read(from))?.entries ?? []).slice(0, until - from).map(decodeEntry)
      // what is missing is read when it is back
      next = entries.length === 0 ? (log.next(from) ?? until) : from + entries.length
      transact(() => {
        for (const entry of entries)
          if (entry.clock === 'unset' && entry.kind !== MOVED)
            place(chain, entry, timeMs - (monoMs - entry.monoMs), timeMs)
        settle()
        run(
          'UPDATE late SET next = ? WHERE agent = ? AND number = ? AND until = ?',
          next,
          agent,
          number,
          until
        )
      })
      await new Promise(setImmediate)
    }
  }

  return {
    /** After a start: what was read before. */
    async recall(log: ChainLog, from: number): Promise<void> {
      if (last.has(keyOf(log.chain)) || from <= log.first) return
      const bytes = (await log.read(from - 1))?.entries[0]
      if (bytes != null) remember(log.chain, decodeEntry(bytes))
    },
    /** In the transaction of an entry. */
    onEntry(chain: ChainId, entry: Entry): void {
      const before = last.get(keyOf(chain))
      const { seq, boot, clock, monoMs, timeMs } = entry
      remember(chain, entry)
      if (clock === 'unset' || before == null || before.isSet || before.boot !== boot) return
      const { agent, number } = chain
      const [{ done }] = all<{ done: number | null }>(
        'SELECT max(until) AS done FROM late WHERE agent = ? AND number = ?',
        agent,
        number
      ) as [{ done: number | null }]
      run(
        'INSERT OR IGNORE INTO late VALUES (?, ?, ?, ?, ?, ?, ?)',
        agent,
        number,
        seq,
        done ?? 0,
        boot,
        monoMs,
        timeMs
      )
    },
    /** Moves what is not yet. */
    async moveAll(find: (chain: ChainId) => ChainLog | undefined): Promise<void> {
      for (const late of all<Late>('SELECT * FROM late WHERE next < until')) {
        const log = find(late)
        if (log != null) await move(log, late)
      }
    }
  }
}
