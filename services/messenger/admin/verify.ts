import { DatabaseSync } from 'node:sqlite'
import type { Messenger } from '../assemble.ts'
import type { Signed } from '../core/codec.ts'
import { eventId, readEvent } from '../core/event.ts'
import { readEnvelope } from '../mailbox/envelope.ts'
import type { Archive } from './archive.ts'
import type { Finding } from './declared.ts'
import { say } from './said.ts'

const RESTORE = say`artel messenger restore ID brings it back from a backup`

/** Whether what is kept here is whole. `isFull`: signatures too, and a trial restore of the newest backup. */
export async function verify(
  { db }: Pick<Messenger, 'db'>,
  archive: Archive,
  isFull: boolean
): Promise<Finding[]> {
  const items = [database(db, isFull), events(db, isFull), sealed(db, 'envelope'), sealed(db, 'blob')]
  items.push(await newestBackup(archive, isFull))
  return items
}

function database(db: DatabaseSync, isFull: boolean): Finding {
  const pragma = isFull ? 'integrity_check' : 'quick_check'
  const rows = db.prepare(`PRAGMA ${pragma}(5)`).all() as Record<string, string>[]
  const faults = rows.map(row => String(Object.values(row)[0])).filter(text => text !== 'ok')
  return faults.length === 0
    ? { name: 'database', state: 'ok', detail: say`whole` }
    : {
        name: 'database',
        state: 'fail',
        detail: faults.join('; '),
        remedy: say`stop the node, move messenger.sqlite away, start it; then ${RESTORE}`
      }
}

/** Every event is named by its hash, and signed. */
function events(db: DatabaseSync, isFull: boolean): Finding {
  const damaged: string[] = []
  let count = 0
  const rows = db.prepare('SELECT id, bytes, signature FROM event WHERE bytes IS NOT NULL').iterate()
  for (const row of rows as Iterable<Signed & { id: string }>) {
    count++
    if (!(isFull ? isEvent(row) : eventId(row) === row.id)) damaged.push(row.id)
  }
  return summed('events', count, damaged)
}

function sealed(db: DatabaseSync, table: 'envelope' | 'blob'): Finding {
  const damaged: string[] = []
  let count = 0
  for (const row of db.prepare(`SELECT id, bytes FROM ${table}`).iterate() as Iterable<{
    id: string
    bytes: Uint8Array
  }>) {
    count++
    if (!isEnvelope(row)) damaged.push(row.id)
  }
  return summed(table === 'envelope' ? 'mail' : 'files', count, damaged)
}

/** Whether these are the signed bytes that this id names. */
export const isEvent = (row: Signed & { id: string }): boolean =>
  holds(() => eventId(row) === row.id && readEvent(row) != null)
export const isEnvelope = ({ id, bytes }: { id: string; bytes: Uint8Array }): boolean =>
  holds(() => readEnvelope(bytes).id === id)

function holds(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    // what cannot be read is damaged
    return false
  }
}

const summed = (name: string, count: number, damaged: readonly string[]): Finding =>
  damaged.length === 0
    ? { name, state: 'ok', detail: say`${count} are whole` }
    : {
        name,
        state: 'fail',
        detail: say`${damaged.length} of ${count} are damaged: ${damaged.slice(0, 3).join(', ')}`,
        remedy: RESTORE
      }

async function newestBackup(archive: Archive, isFull: boolean): Promise<Finding> {
  const [newest] = await archive.list()
  const name = 'backup'
  if (newest == null)
    return { name, state: 'warn', detail: say`there is none`, remedy: say`artel messenger backup makes one` }
  try {
    if (!isFull) await archive.check(newest.id)
    else
      await archive.within(newest.id, file => {
        using trial = new DatabaseSync(file)
        const finding = events(trial, true)
        if (finding.state !== 'ok') throw new Error(String(finding.detail))
      })
    return { name, state: 'ok', detail: say`${newest.id} can be restored, ${newest.events} events` }
  } catch (error) {
    return {
      name,
      state: 'fail',
      detail: (error as Error).message,
      remedy: say`artel messenger backup makes another`
    }
  }
}
