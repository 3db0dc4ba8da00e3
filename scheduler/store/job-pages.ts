import type { DatabaseSync } from 'node:sqlite'
import type { JobQuery, JobReport } from '../contract.ts'
import { type StoredJob, toJob } from './job-rows.ts'

// Totals are counted as jobs come and change, for counting 100,000 rows takes as long as several pages.
const SCHEMA = `
  CREATE INDEX IF NOT EXISTS jobs_recent ON jobs (submitted, id);
  CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, submitted, id);
  CREATE INDEX IF NOT EXISTS jobs_type ON jobs (type, submitted, id);
  CREATE TABLE IF NOT EXISTS job_counts (
    type TEXT NOT NULL, state TEXT NOT NULL, jobs INTEGER NOT NULL, PRIMARY KEY (type, state)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO job_counts SELECT type, state, count(*) FROM jobs
    WHERE NOT EXISTS (SELECT 1 FROM job_counts) GROUP BY type, state;
  CREATE TRIGGER IF NOT EXISTS jobs_added AFTER INSERT ON jobs BEGIN
    INSERT INTO job_counts VALUES (new.type, new.state, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1;
  END;
  CREATE TRIGGER IF NOT EXISTS jobs_moved AFTER UPDATE OF state ON jobs WHEN new.state <> old.state BEGIN
    UPDATE job_counts SET jobs = jobs - 1 WHERE type = old.type AND state = old.state;
    INSERT INTO job_counts VALUES (new.type, new.state, 1) ON CONFLICT DO UPDATE SET jobs = jobs + 1;
  END;
`

/**
 * Pages of the jobs on disk, newest first. A page starts at a key, not at an offset, so that its cost does not depend
 * on how many jobs come before it, and jobs that are submitted meanwhile do not shift it.
 */
export function createJobPages(db: DatabaseSync) {
  db.exec(SCHEMA)
  // one statement per combination of filters, each with an index that has its order
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  const prepare = (sql: string) => {
    const statement = statements.get(sql) ?? db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }

  return {
    page({ limit, before, state, type }: JobQuery): { items: StoredJob[]; total: number } {
      const filters: [string, (string | number)[]][] = []
      if (state != null) filters.push(['state = ?', [state]])
      if (type != null) filters.push(['type = ?', [type]])
      const counted = prepare(`SELECT coalesce(sum(jobs), 0) AS total FROM job_counts ${where(filters)}`)
      const { total } = counted.get(...filters.flatMap(([, values]) => values)) as { total: number }
      if (before != null) filters.push(['(submitted, id) < (?, ?)', [before.submitted, before.id]])
      const rows = prepare(
        `SELECT * FROM jobs ${where(filters)} ORDER BY submitted DESC, id DESC LIMIT ?`
      ).all(...filters.flatMap(([, values]) => values), limit)
      return { items: rows.map(toJob), total }
    }
  }
}

export type JobPages = ReturnType<typeof createJobPages>

const where = (filters: [string, unknown][]): string =>
  filters.length === 0 ? '' : `WHERE ${filters.map(([sql]) => sql).join(' AND ')}`

/** What is known of a job that does not run, without its spec, which may be large. */
export function reportOf(stored: StoredJob, memoOf?: string): JobReport {
  const { id, type, name, state, submitted, finished, bound, cid, failure } = stored
  const { done = 0, total = 0, retries = 0, shares = [], verification } = stored.end ?? {}
  const paid = shares.reduce((sum, share) => sum + share.paid, 0n)
  return {
    job: id,
    type,
    name,
    state,
    submitted,
    finished,
    done,
    total,
    retries,
    bound,
    paid,
    shares,
    verification,
    cid,
    failure,
    memoOf
  }
}
