import type { DatabaseSync } from 'node:sqlite'

/** Messengers in which there may be a bot. */
export type Messenger = 'telegram' | 'messenger'

/** Whom the bot answers, and up to where it has answered. */
export function createChats(db: DatabaseSync, messenger: Messenger = 'telegram') {
  const sql = {
    list: db.prepare('SELECT id, name FROM chats ORDER BY id'),
    has: db.prepare('SELECT 1 FROM chats WHERE id = ?'),
    admit: db.prepare('INSERT OR REPLACE INTO chats (id, name) VALUES (?, ?)'),
    dismiss: db.prepare('DELETE FROM chats WHERE id = ?'),
    offset: db.prepare('SELECT next FROM bot WHERE messenger = ?'),
    setOffset: db.prepare('UPDATE bot SET next = ? WHERE messenger = ?')
  }
  return {
    list: () => sql.list.all() as { id: string; name: string }[],
    has: (id: string): boolean => sql.has.get(id) != null,
    admit: (id: string, name: string): void => void sql.admit.run(id, name),
    /** false: there is none */
    dismiss: (id: string): boolean => Number(sql.dismiss.run(id).changes) > 0,
    offset: (): number => (sql.offset.get(messenger) as { next: number }).next,
    setOffset: (next: number): void => void sql.setOffset.run(next, messenger)
  }
}

export type Chats = ReturnType<typeof createChats>
