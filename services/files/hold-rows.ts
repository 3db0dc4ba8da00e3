import type { Lent } from './quota.ts'
import type { Store } from './store.ts'

export interface HoldRow {
  root: number
  cid: string
  peer: string
  /** bytes that it may cost */
  granted: number
  seenAt: number
}

const HOLD = 'SELECT hold.root, cid, peer, granted, seenAt FROM hold JOIN root ON root.id = hold.root'

/** What is held for other nodes. */
export function createHoldRows({ db: { get, all, run } }: Store) {
  return {
    find: (cid: string, peer: string): HoldRow | undefined =>
      get(`${HOLD} WHERE cid = ? AND peer = ?`, cid, peer),
    /** the oldest first */
    all: (): HoldRow[] => all(`${HOLD} ORDER BY hold.root`),
    add: (root: number, peer: string, granted: number, now: number): void =>
      void run(
        'INSERT INTO hold (root, peer, granted, seenAt) VALUES (?, ?, ?, ?)',
        root,
        peer,
        granted,
        now
      ),
    seen: ({ root, peer }: HoldRow, now: number): void =>
      void run('UPDATE hold SET seenAt = ? WHERE root = ? AND peer = ?', now, root, peer),
    remove: ({ root, peer }: HoldRow): void =>
      void run('DELETE FROM hold WHERE root = ? AND peer = ?', root, peer),
    lent: (peer: string): Lent =>
      get(
        'SELECT total(granted) AS total, total(CASE WHEN peer = ? THEN granted END) AS toPeer FROM hold',
        peer
      )!
  }
}

export type HoldRows = ReturnType<typeof createHoldRows>
