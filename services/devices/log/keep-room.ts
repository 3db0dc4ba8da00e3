import type { DatabaseSync } from 'node:sqlite'
import type { Chains } from '../delivery/chains.ts'
import { letsGo, type Pressure } from './budget.ts'
import type { ChainLog } from './chain-log.ts'
import { decodeEntry } from './entry.ts'

/* Stands in the database of the series. */
export const SEGMENTS = `
  -- since when segments of logs are here, ms since 1970 by the clock of this node
  CREATE TABLE segment (
    agent TEXT NOT NULL,
    number INTEGER NOT NULL,
    first INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (agent, number, first)
  ) STRICT, WITHOUT ROWID;
`

export interface KeepRoomInit {
  db: DatabaseSync
  chains: Pick<Chains, 'all'>
  self: string
  now(): number
  keepMs(): number
  pressure(): Pressure
  /** of the own log: whether two witnesses have all up to there */
  isDelivered(number: number, seq: number): boolean
  log(message: string, ...args: unknown[]): void
}

/** Lets go of what is old, and of what is too much. */
export function createKeepRoom({ db, chains, self, now, keepMs, pressure, isDelivered, log }: KeepRoomInit) {
  const put = db.prepare('INSERT OR IGNORE INTO segment VALUES (?, ?, ?, ?)')
  const find = db.prepare('SELECT at FROM segment WHERE agent = ? AND number = ? AND first = ?')
  const forget = db.prepare('DELETE FROM segment WHERE agent = ? AND number = ? AND first <= ?')
  const move = db.prepare('UPDATE segment SET at = at + ?')

  const seenAt = ({ chain: { agent, number } }: ChainLog, first: number): number | undefined =>
    (find.get(agent, number, first) as { at: number } | undefined)?.at

  function note(each: ChainLog): void {
    for (const { from } of each.segments.toReversed()) {
      if (seenAt(each, from) != null) return
      put.run(each.chain.agent, each.chain.number, from, now())
    }
  }

  /** What a clock says that nobody has set, or that is ahead, says nothing of how old an entry is. */
  async function since(each: ChainLog, first: number): Promise<number> {
    const bytes = (await each.read(first))?.entries[0]
    if (bytes == null) return 0
    const { timeMs, clock } = decodeEntry(bytes)
    return clock === 'unset' || timeMs > now() ? (seenAt(each, first) ?? now()) : timeMs
  }

  return {
    async round(): Promise<void> {
      for (const each of chains.all()) {
        note(each)
        const { agent, number } = each.chain
        const isOwn = agent === self
        for (;;) {
          const [oldest, next] = each.segments
          if (oldest == null || next == null) break
          const timeMs = await since(each, oldest.from)
          const isSafe = !isOwn || isDelivered(number, next.from - 1)
          // what is kept for others goes by age only: its owner may have nothing else
          if (!letsGo({ timeMs, isSafe }, now(), keepMs(), isOwn ? pressure() : 'none')) break
          log('%d entries of %s/%d are let go', await each.dropOldest(), agent, number)
          forget.run(agent, number, oldest.from)
        }
      }
    },
    /** The clock of this node was set: nothing has become older by that. */
    moved: (ms: number): void => void move.run(Math.round(ms))
  }
}
