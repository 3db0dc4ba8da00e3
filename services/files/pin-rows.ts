import type { Holder, Pin } from './replicas.ts'
import type { Root, Store } from './store.ts'

export interface PinRow {
  root: number
  cid: string
  wanted: number
  at: number
}

/** Where a page of pins begins: behind this one. */
export interface PinCursor {
  at: number
  root: number
}

const PIN = 'SELECT pin.root, cid, wanted, pin.at FROM pin JOIN root ON root.id = pin.root'

/** What the owner wants kept, and who holds copies of it: the rows behind `replicas.ts`. */
export function createPinRows({ db: { get, all, run, atomically } }: Store) {
  const rows = {
    find: (root: number): PinRow | undefined => get(`${PIN} WHERE pin.root = ?`, root),

    /** the newest first */
    page: (limit: number, after?: PinCursor): PinRow[] =>
      after == null
        ? all(`${PIN} ORDER BY pin.at DESC, pin.root DESC LIMIT ?`, limit)
        : all(
            `${PIN} WHERE (pin.at, pin.root) < (?, ?) ORDER BY pin.at DESC, pin.root DESC LIMIT ?`,
            after.at,
            after.root,
            limit
          ),

    count: (): number => get<{ count: number }>('SELECT count(*) AS count FROM pin')!.count,

    /** Those that copies are wanted of, or that have some. */
    replicated: (): PinRow[] =>
      all(`${PIN} WHERE wanted > 0 OR EXISTS (SELECT 1 FROM holder WHERE holder.root = pin.root)`),

    /** Those that this disk has lost blocks of. */
    damaged: (): PinRow[] => all(`${PIN} WHERE isWhole = 0`),

    pin: (root: number, wanted: number, now: number): void =>
      void run(
        'INSERT INTO pin (root, wanted, at) VALUES (?, ?, ?) ON CONFLICT (root) DO UPDATE SET wanted = excluded.wanted, at = excluded.at',
        root,
        wanted,
        now
      ),

    holders: (root: number): Holder[] =>
      all<{ [K in keyof Holder]-?: Holder[K] | null }>('SELECT * FROM holder WHERE root = ?', root).map(
        row =>
          Object.fromEntries(Object.entries(row).filter(([, value]) => value != null)) as unknown as Holder
      ),

    leftOut: (root: number): Pin['leftOut'] =>
      new Map(
        all<{ peer: string; until: number }>('SELECT peer, until FROM leftOut WHERE root = ?', root).map(
          ({ peer, until }) => [peer, until]
        )
      ),

    save: (root: number, holder: Holder): void =>
      void run(
        `INSERT OR REPLACE INTO holder (root, peer, state, seenAt, grownAt, silentSince, bytes, provedAt)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        root,
        holder.peer,
        holder.state,
        holder.seenAt,
        holder.grownAt,
        holder.silentSince ?? null,
        holder.bytes,
        holder.provedAt ?? null
      ),

    /** It is no holder any more, is asked again after `until` at the earliest, and hears so when it can be reached. */
    release({ id, cid }: Pick<Root, 'id' | 'cid'>, peer: string, until: number, tellUntil: number): void {
      atomically(() => {
        run('DELETE FROM holder WHERE root = ? AND peer = ?', id, peer)
        run('INSERT OR REPLACE INTO leftOut (root, peer, until) VALUES (?, ?, ?)', id, peer, until)
        run('INSERT OR REPLACE INTO letGo (cid, peer, until) VALUES (?, ?, ?)', cid, peer, tellUntil)
      })
    },

    /** The owner wants it no longer; all holders are to hear so. */
    unpin({ id, cid }: Pick<Root, 'id' | 'cid'>, tellUntil: number): void {
      atomically(() => {
        run(
          'INSERT OR REPLACE INTO letGo (cid, peer, until) SELECT ?, peer, ? FROM holder WHERE root = ?',
          cid,
          tellUntil,
          id
        )
        for (const table of ['holder', 'leftOut', 'pin']) run(`DELETE FROM ${table} WHERE root = ?`, id)
        run('DELETE FROM name WHERE cid = ?', cid)
      })
    },

    /** Some who are still to hear that they may let go, each time others: not all can be reached. */
    toTell: (limit: number, now: number): { cid: string; peer: string }[] => {
      run('DELETE FROM letGo WHERE until < ?', now)
      return all('SELECT cid, peer FROM letGo ORDER BY random() LIMIT ?', limit)
    },

    told: (cid: string, peer: string): void =>
      void run('DELETE FROM letGo WHERE cid = ? AND peer = ?', cid, peer)
  }
  return rows
}

export type PinRows = ReturnType<typeof createPinRows>
