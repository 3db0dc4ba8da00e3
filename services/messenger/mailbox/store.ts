import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { decode } from '@ipld/dag-cbor'
import { transact } from '../../host/index.ts'
import { hashOf, pack, toHex } from '../core/codec.ts'
import { type Acceptor, accept, type Ballot, prepare, type Reply } from '../core/paxos.ts'
import { createOwn, transactLater } from '../store/database.ts'
import { type Envelope, inOnePage } from './envelope.ts'

const KEEP_MS = 30 * 24 * 3_600_000
/** More than are ever lost with the power. */
const SKIPPED_POSITIONS = 1_000_000

export type MailStore = ReturnType<typeof openMailStore>

/** What a mailbox has on its disk: envelopes, slots and key packages. All but envelopes is there when a call returns. */
export function openMailStore(db: DatabaseSync, now: () => number) {
  const own = createOwn(db)
  const life = own.get('life') ?? randomBytes(16)
  own.set('life', life)
  const insert = db.prepare('INSERT OR IGNORE INTO envelope (id, address, bytes, at) VALUES (?, ?, ?, ?)')
  const at = db.prepare(
    'SELECT position, bytes FROM envelope WHERE address = ? AND position > ? ORDER BY position'
  )
  const all = db.prepare('SELECT position, bytes FROM envelope WHERE position > ? ORDER BY position')
  const byId = db.prepare('SELECT bytes FROM envelope WHERE id = ?')
  const size = db.prepare('SELECT count(*) AS count, coalesce(sum(length(bytes)), 0) AS bytes FROM envelope')
  const oldest = db.prepare('DELETE FROM envelope WHERE at < ?')
  const slotOf = db.prepare('SELECT state FROM slot WHERE key = ?')
  const saveSlot = db.prepare('INSERT OR REPLACE INTO slot VALUES (?, ?)')
  const addPackage = db.prepare('INSERT OR IGNORE INTO package VALUES (?, ?, ?, ?)')
  const dropLast = db.prepare('DELETE FROM package WHERE device = ? AND isLast = 1')
  const left = db.prepare('SELECT count(*) AS left FROM package WHERE device = ? AND isLast = 0')
  const one = db.prepare('SELECT id, bytes, isLast FROM package WHERE device = ? ORDER BY isLast LIMIT 1')
  const dropPackage = db.prepare('DELETE FROM package WHERE id = ?')
  let { bytes: kept, count } = size.get() as { bytes: number; count: number }
  // who follows may have read on to places that were lost with the power: what comes now is behind them
  db.prepare(`UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'envelope'`).run(SKIPPED_POSITIONS)

  const page = (rows: Iterable<unknown>): [number, Uint8Array][] =>
    inOnePage(rows as Iterable<{ position: number; bytes: Uint8Array }>, ({ bytes }) => bytes.length).map(
      ({ position, bytes }) => [position, bytes]
    )

  function inSlot(key: string, work: (state: Acceptor) => { state: Acceptor; reply: Reply }): Reply {
    return transact(db, () => {
      const row = slotOf.get(key) as { state: Uint8Array } | undefined
      const before = row == null ? {} : (decode(row.state) as Acceptor)
      const { state, reply } = work(before)
      if (state !== before) saveSlot.run(key, pack(cleaned(state)))
      return reply
    })
  }

  return {
    /** of this disk */
    life: toHex(life),
    usage: () => ({ bytes: kept, count }),

    /** Takes in envelopes, those that are there already as well as new ones. False where they have no room. */
    put(envelopes: readonly Envelope[], quotaBytes: number): boolean {
      const isRoomFor = (some: readonly Envelope[]): boolean =>
        kept + some.reduce((sum, { whole }) => sum + whole.length, 0) <= quotaBytes
      // what is here already takes no room, and whoever had no answer puts it again
      if (!isRoomFor(envelopes) && !isRoomFor(envelopes.filter(({ id }) => byId.get(id) == null)))
        return false
      transactLater(db, () => {
        for (const { id, address, whole } of envelopes) {
          if (insert.run(id, toHex(address), whole, now()).changes === 0) continue
          kept += whole.length
          count++
        }
      })
      return true
    },
    /** the first that fit into one push */
    at: (address: string, after: number) => page(at.iterate(address, after)),
    all: (after: number) => page(all.iterate(after)),
    get: (id: string): Uint8Array | undefined => (byId.get(id) as { bytes: Uint8Array } | undefined)?.bytes,
    /** Lets go of what nobody fetched for 30 days. */
    expire(): void {
      oldest.run(now() - KEEP_MS)
      ;({ bytes: kept, count } = size.get() as { bytes: number; count: number })
    },

    prepare: (slot: string, ballot: Ballot): Reply => inSlot(slot, state => prepare(state, ballot)),
    accept: (slot: string, ballot: Ballot, value: Uint8Array): Reply =>
      inSlot(slot, state => accept(state, ballot, value)),

    /** How many one-time packages of the device are here now. */
    leave(
      device: string,
      packages: readonly Uint8Array[],
      last: Uint8Array | undefined,
      limit: number
    ): number {
      return transact(db, () => {
        const { left: before } = left.get(device) as { left: number }
        for (const bytes of packages.slice(0, Math.max(0, limit - before)))
          addPackage.run(toHex(hashOf(bytes)), device, bytes, 0)
        if (last != null) {
          dropLast.run(device)
          addPackage.run(toHex(hashOf(last)), device, last, 1)
        }
        return (left.get(device) as { left: number }).left
      })
    },
    hasPackage: (device: string): boolean => one.get(device) != null,
    /** One of each device, which is gone then unless it is the last. */
    take(devices: readonly string[]): [string, Uint8Array][] {
      return transact(db, () =>
        devices.flatMap(device => {
          const found = one.get(device) as { id: string; bytes: Uint8Array; isLast: number } | undefined
          if (found == null) return []
          if (found.isLast === 0) dropPackage.run(found.id)
          return [[device, found.bytes]] as [string, Uint8Array][]
        })
      )
    }
  }
}

/** dag-cbor has no undefined. */
function cleaned({ promised, accepted }: Acceptor): Acceptor {
  return { ...(promised == null ? {} : { promised }), ...(accepted == null ? {} : { accepted }) }
}
