import { openDatabase, transact } from '../../host/index.ts'
import type { Notify } from './notify.ts'

/** A message as it is sent, every time the same. */
export interface Message {
  id: string
  url: string
  body: string
  /** ms since 1970 */
  created: number
  /** tries in vain */
  attempts: number
}

export interface Standing {
  jobs: number
  waiting: number
  reason?: string
}

/** As they are: doctor keeps the rows of a damaged file, not its version. */
const MIGRATIONS = [
  `CREATE TABLE IF NOT EXISTS watched (job TEXT PRIMARY KEY, url TEXT NOT NULL, events TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE IF NOT EXISTS messages (
     id TEXT PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL, created INTEGER NOT NULL, due INTEGER NOT NULL,
     attempts INTEGER NOT NULL DEFAULT 0, reason TEXT
   ) STRICT;
   CREATE INDEX IF NOT EXISTS messages_due ON messages (due)`
]

/** Whose ends are to be told, and what is not told yet, in a SQLite file: both outlive the node. */
export function openOutbox(file: string) {
  const db = openDatabase(file, MIGRATIONS)
  const watch = db.prepare('INSERT OR REPLACE INTO watched (job, url, events) VALUES (?, ?, ?)')
  const rename = db.prepare('UPDATE watched SET job = ? WHERE job = ?')
  const forget = db.prepare('DELETE FROM watched WHERE job = ?')
  const watched = db.prepare('SELECT job FROM watched')
  const find = db.prepare('SELECT url, events FROM watched WHERE job = ?')
  const add = db.prepare(
    'INSERT OR IGNORE INTO messages (id, url, body, created, due) VALUES (?, ?, ?, ?, ?)'
  )
  const due = db.prepare(
    'SELECT id, url, body, created, attempts FROM messages WHERE due <= ? ORDER BY due LIMIT ?'
  )
  const next = db.prepare('SELECT min(due) AS due FROM messages')
  const remove = db.prepare('DELETE FROM messages WHERE id = ?')
  const postpone = db.prepare('UPDATE messages SET attempts = attempts + 1, due = ?, reason = ? WHERE id = ?')
  const size = db.prepare('SELECT (SELECT count(*) FROM watched) + (SELECT count(*) FROM messages) AS size')
  const standing = db.prepare(
    `SELECT (SELECT count(*) FROM watched WHERE url = ?1) AS jobs,
       (SELECT count(*) FROM messages WHERE url = ?1) AS waiting,
       (SELECT reason FROM messages WHERE url = ?1 AND reason IS NOT NULL ORDER BY created DESC LIMIT 1) AS reason`
  )
  return {
    watch: (job: string, { url, events }: Notify): void => void watch.run(job, url, JSON.stringify(events)),
    rename: (from: string, to: string): void => void rename.run(to, from),
    forget: (job: string): void => void forget.run(job),
    watched: (): string[] => watched.all().map(row => row.job as string),
    find(job: string): Notify | undefined {
      const row = find.get(job)
      return row == null ? undefined : { url: row.url as string, events: JSON.parse(row.events as string) }
    },
    /** The job is no longer watched, and the message, where there is one, is to be sent: both or neither. */
    ended(job: string, message?: Pick<Message, 'id' | 'url' | 'body' | 'created'>): void {
      transact(db, () => {
        if (message != null) add.run(message.id, message.url, message.body, message.created, message.created)
        forget.run(job)
      })
    },
    due: (now: number, limit: number): Message[] => due.all(now, limit) as unknown as Message[],
    /** when the next message is due, ms since 1970 */
    next: (): number | undefined => (next.get()!.due as number | null) ?? undefined,
    remove: (id: string): void => void remove.run(id),
    postpone: (id: string, until: number, reason: string): void => void postpone.run(until, reason, id),
    /** jobs and messages together */
    size: (): number => size.get()!.size as number,
    standing(url: string): Standing {
      const { jobs, waiting, reason } = standing.get(url) as unknown as Standing & { reason: string | null }
      return { jobs, waiting, ...(reason == null ? {} : { reason }) }
    },
    close: (): void => db.close()
  }
}
