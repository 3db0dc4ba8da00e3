import type { DatabaseSync } from 'node:sqlite'

/** Telegram keeps nothing longer, and begins with other numbers where a week was quiet: below a place that is older they are new. */
const PLACE_MS = 24 * 60 * 60_000

/** Whom the bot answers in Telegram, and up to where it has answered. */
export function createChats(db: DatabaseSync, now: () => number) {
  const sql = {
    list: db.prepare('SELECT id, name FROM chats ORDER BY id'),
    has: db.prepare('SELECT 1 FROM chats WHERE id = ?'),
    admit: db.prepare('INSERT OR REPLACE INTO chats (id, name) VALUES (?, ?)'),
    dismiss: db.prepare('DELETE FROM chats WHERE id = ?'),
    offset: db.prepare(`SELECT next FROM bot WHERE messenger = 'telegram' AND at > ?`),
    setOffset: db.prepare(`UPDATE bot SET next = ?, at = ? WHERE messenger = 'telegram'`)
  }
  return {
    list: () => sql.list.all() as { id: string; name: string }[],
    has: (id: string): boolean => sql.has.get(id) != null,
    admit: (id: string, name: string): void => void sql.admit.run(id, name),
    /** false: there is none */
    dismiss: (id: string): boolean => Number(sql.dismiss.run(id).changes) > 0,
    offset: (): number => (sql.offset.get(now() - PLACE_MS) as { next: number } | undefined)?.next ?? 0,
    setOffset: (next: number): void => void sql.setOffset.run(next, now())
  }
}

export type Chats = ReturnType<typeof createChats>
export type Place = Pick<Chats, 'has' | 'offset' | 'setOffset'>

/** Where all may ask, and what was answered is known elsewhere. */
export function createPlace(): Place {
  let next = 0
  return {
    has: () => true,
    offset: () => next,
    setOffset(to) {
      next = to
    }
  }
}
