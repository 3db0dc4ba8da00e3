import type { DatabaseSync } from 'node:sqlite'
import type { Logger } from '@libp2p/interface'
import type { WorkDone } from '../contract.ts'

// Between a write for every answer and figures that a kill −9 takes away.
const FLUSH_MS = 5000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS work_done (
    day INTEGER NOT NULL, requester TEXT NOT NULL, slices INTEGER NOT NULL, ms REAL NOT NULL, earned INTEGER NOT NULL,
    PRIMARY KEY (day, requester)
  ) STRICT, WITHOUT ROWID;
`

export interface Work {
  slices: number
  ms: number
  /** micro-credits */
  earned: bigint
}

/** What was done for whom today, in the scheduler's own database; other days are forgotten. */
export function createWorkBook(db: DatabaseSync, log: Logger, clock: () => Date = () => new Date()) {
  db.exec(SCHEMA)
  const insert = db.prepare(
    `INSERT INTO work_done VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
     SET slices = slices + excluded.slices, ms = ms + excluded.ms, earned = earned + excluded.earned`
  )
  const forget = db.prepare('DELETE FROM work_done WHERE day <> ?')
  const sums = db.prepare(
    `SELECT coalesce(sum(slices), 0) AS slices, coalesce(sum(ms), 0) AS ms, coalesce(sum(earned), 0) AS earned,
     count(*) AS requesters FROM work_done WHERE day = ?`
  )
  const unwritten = new Map<string, Work>()
  let day = 0
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    for (const [requester, { slices, ms, earned }] of unwritten)
      insert.run(day, requester, slices, ms, earned)
    unwritten.clear()
  }

  /** A full disk: the figures wait for the next time. */
  function tryFlush(): void {
    try {
      flush()
    } catch (err) {
      log.error('what was done for others could not be written: %e', err)
    }
  }

  /** A new day begins with nothing. */
  function turn(): void {
    const today = new Date(clock()).setHours(0, 0, 0, 0)
    if (today === day) return
    tryFlush()
    day = today
    forget.run(day)
  }

  return {
    add(requester: string, work: Work): void {
      turn()
      const { slices, ms, earned } = unwritten.get(requester) ?? { slices: 0, ms: 0, earned: 0n }
      unwritten.set(requester, {
        slices: slices + work.slices,
        ms: ms + work.ms,
        earned: earned + work.earned
      })
      timer ??= setTimeout(tryFlush, FLUSH_MS).unref()
    },
    today(): Omit<WorkDone, 'running'> {
      turn()
      tryFlush()
      const { slices, ms, earned, requesters } = sums.get(day) as Record<string, number>
      return { slices: slices!, cpuMs: ms!, earned: BigInt(earned!), requesters: requesters!, since: day }
    },
    /** Writes what is not written yet; before the database closes. */
    flush: tryFlush
  }
}

export type WorkBook = ReturnType<typeof createWorkBook>
