import { transact } from '../../host/index.ts'
import type { Messenger } from '../assemble.ts'
import { toHex } from '../core/codec.ts'
import { parseEvent } from '../core/event.ts'
import { readStatement } from '../core/statement.ts'
import { createOwn } from '../store/database.ts'
import type { Archive } from './archive.ts'
import type { Stats } from './declared.ts'
import type { Logs } from './logs.ts'
import { databaseBytes } from './watch.ts'

const MONTHS = 6
const CLEANED = 'cleanedAt'
/** A file is named when all of it is at a mailbox: until then its parts have no name. */
const NAMED_MS = 24 * 3_600_000

/** Lets go of what nobody needs, and makes the database small. */
export async function cleanUp(
  { db, mailbox }: Pick<Messenger, 'db' | 'mailbox'>,
  archive: Archive,
  logs: Logs,
  now: number
): Promise<{ files: number; parts: number; bytesBefore: number; bytesAfter: number }> {
  const bytesBefore = databaseBytes(db)
  const files = (await archive.dropTemporary()) + (await logs.dropOld())
  mailbox.store.expire()
  const parts = transact(db, () => {
    const named = new Set<string>()
    const rows = db.prepare(`SELECT bytes FROM event WHERE kind = 'file' AND bytes IS NOT NULL`).iterate()
    for (const row of rows as Iterable<{ bytes: Uint8Array }>) {
      const event = parseEvent(row)
      if (event.kind === 'file') for (const blob of event.body.blobs) named.add(toHex(blob))
    }
    const drop = db.prepare('DELETE FROM blob WHERE id = ?')
    const old = db.prepare('SELECT id FROM blob WHERE at < ?').all(now - NAMED_MS) as { id: string }[]
    const unnamed = old.filter(({ id }) => !named.has(id))
    for (const { id } of unnamed) drop.run(id)
    return unnamed.length
  })
  db.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)')
  createOwn(db).set(CLEANED, Buffer.from(String(now)))
  return { files, parts, bytesBefore, bytesAfter: databaseBytes(db) }
}

/** When clean-up ran last, ms since 1970. */
export function cleanedAt(db: Messenger['db']): number | undefined {
  const value = createOwn(db).get(CLEANED)
  return value == null ? undefined : Number(Buffer.from(value).toString())
}

/** Who came, and how much was written, in the last six months that have something. */
export function statistics({ school, db }: Pick<Messenger, 'school' | 'db'>): Stats {
  const roster = school.known()
  const months = new Map<string, { newUsers: number; messages: number; senders: Set<string> }>()
  const of = (at: number) => {
    const month = new Date(at).toISOString().slice(0, 7)
    const found = months.get(month) ?? { newUsers: 0, messages: 0, senders: new Set<string>() }
    months.set(month, found)
    return found
  }
  const known = new Set<string>()
  for (const signed of roster.log) {
    const { kind, body, timeMs } = readStatement(signed)
    const users = kind === 'found' ? [body.user] : kind === 'users' ? body.users : []
    for (const { id } of users) {
      if (known.has(id)) continue
      known.add(id)
      of(timeMs).newUsers++
    }
  }
  const written = db
    .prepare(`SELECT device, timeMs FROM event WHERE kind IN ('text', 'file') AND bytes IS NOT NULL`)
    .iterate() as Iterable<{ device: string; timeMs: number }>
  for (const { device, timeMs } of written) {
    const month = of(timeMs)
    month.messages++
    month.senders.add(roster.device(device)?.user ?? device)
  }
  return {
    users: roster.users().filter(({ isDisabled }) => !isDisabled).length,
    devices: roster.devices().filter(({ id }) => roster.person(id) != null).length,
    months: [...months]
      .sort(([a], [b]) => (a < b ? 1 : -1))
      .slice(0, MONTHS)
      .map(([month, { newUsers, messages, senders }]) => ({
        month,
        newUsers,
        messages,
        senders: senders.size
      }))
  }
}
