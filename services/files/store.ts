import { randomInt } from 'node:crypto'
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { CID } from 'multiformats/cid'
import { transact } from '../host/index.ts'
import type { BlockFiles } from './block-files.ts'
import { costOf } from './quota.ts'

export interface Root {
  id: number
  cid: string
  type: 'file' | 'folder'
  /** bytes of the file, or of all files in the folder */
  size: number
  /** bytes that its blocks take of a quota */
  cost: number
  blocks: number
  /** all of its blocks are here */
  isWhole: boolean
}

export interface NameVersion {
  name: string
  version: number
  cid: string
  at: number
}

// Between two of these others get a turn.
const SWEEP_BLOCKS = 64

/** Roots, their blocks and their names: the rows of `schema.ts` together with the files of the blocks. */
export function createStore(db: DatabaseSync, files: BlockFiles) {
  // Blocks are not forced to the disk either: what a power cut takes is noticed and fetched again. A row for each block
  // would wait 2 ms for the disk, and come to 120 MB/s.
  db.exec('PRAGMA synchronous = NORMAL')
  const get = <T>(sql: string, ...values: SQLInputValue[]): T | undefined =>
    prepared(sql).get(...values) as T | undefined
  const all = <T>(sql: string, ...values: SQLInputValue[]): T[] => prepared(sql).all(...values) as T[]
  const run = (sql: string, ...values: SQLInputValue[]): number =>
    Number(prepared(sql).run(...values).changes)
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  function prepared(sql: string) {
    const statement = statements.get(sql) ?? db.prepare(sql)
    statements.set(sql, statement)
    return statement
  }
  /** All of it or nothing, also where one calls the other. */
  const atomically = <T>(work: () => T): T => transact(db, work)

  const asRoot = (row: (Omit<Root, 'isWhole'> & { isWhole: number }) | undefined): Root | undefined =>
    row && { ...row, isWhole: row.isWhole === 1 }

  /** Those that somebody works on; they are not swept meanwhile. */
  const busy = new Map<number, number>()

  const store = {
    db: { get, all, run, atomically },

    // ---- roots ----

    root: (cid: string): Root | undefined => asRoot(get('SELECT * FROM root WHERE cid = ?', cid)),
    rootById: (id: number): Root | undefined => asRoot(get('SELECT * FROM root WHERE id = ?', id)),

    /** A root that gets its CID when it is whole. */
    begin(now: number): number {
      run('INSERT INTO root (usedAt) VALUES (?)', now)
      return get<{ id: number }>('SELECT last_insert_rowid() AS id')!.id
    },

    /** The root of a CID, whole or not. */
    open(cid: string, now: number): Root {
      run(
        'INSERT INTO root (cid, usedAt) VALUES (?, ?) ON CONFLICT (cid) DO UPDATE SET usedAt = excluded.usedAt',
        cid,
        now
      )
      return store.root(cid)!
    },

    setWhole: (id: number, isWhole: boolean): void =>
      void run('UPDATE root SET isWhole = ? WHERE id = ?', isWhole ? 1 : 0, id),

    /** What was begun is this. Where it is here already, that one stays. Gives the root that stays. */
    finish(
      id: number,
      { cid, type, size }: { cid: string; type: Root['type']; size: number },
      now: number
    ): Root {
      return atomically(() => {
        const before = store.root(cid)
        if (before == null || before.id === id) {
          run(
            'UPDATE root SET cid = ?, type = ?, size = ?, isWhole = 1, usedAt = ? WHERE id = ?',
            cid,
            type,
            size,
            now,
            id
          )
          return store.rootById(id)!
        }
        // the other may lack some of the blocks
        run(
          'INSERT OR IGNORE INTO block (root, cid, cost, pass) SELECT ?, cid, cost, 0 FROM block WHERE root = ?',
          before.id,
          id
        )
        run(
          'UPDATE root SET type = ?, size = ?, isWhole = 1, usedAt = ? WHERE id = ?',
          type,
          size,
          now,
          before.id
        )
        return store.rootById(before.id)!
      })
    },

    /** Keeps a root while somebody works on it, until the returned function is called. */
    keep(id: number): () => void {
      busy.set(id, (busy.get(id) ?? 0) + 1)
      return () => {
        const left = busy.get(id)! - 1
        if (left > 0) busy.set(id, left)
        else busy.delete(id)
      }
    },

    /** Lets go of everything that only this root keeps. Files go before rows: a full disk cannot even delete a row. */
    async sweep(id: number): Promise<void> {
      for (;;) {
        // in one go: nobody may begin to want a block between the question and the deed
        const blocks = all<{ cid: Uint8Array }>(
          'SELECT cid FROM block WHERE root = ? LIMIT ?',
          id,
          SWEEP_BLOCKS
        )
        if (blocks.length === 0) break
        for (const { cid } of blocks) {
          const elsewhere = get('SELECT 1 FROM block WHERE cid = ? AND root <> ? LIMIT 1', cid, id)
          if (elsewhere == null) files.delete(CID.decode(cid))
        }
        atomically(() => {
          for (const { cid } of blocks) run('DELETE FROM block WHERE root = ? AND cid = ?', id, cid)
        })
        await new Promise(setImmediate)
      }
      atomically(() => {
        for (const table of ['pin', 'holder', 'leftOut', 'hold', 'adding'])
          run(`DELETE FROM ${table} WHERE root = ?`, id)
        run('DELETE FROM root WHERE id = ?', id)
      })
    },

    isBusy: (id: number): boolean => busy.has(id),

    /** Whether somebody wants it: the owner, or a peer. */
    isWanted: (id: number): boolean =>
      get('SELECT 1 FROM pin WHERE root = ?1 UNION ALL SELECT 1 FROM hold WHERE root = ?1', id) != null,

    /** Fetched once and wanted by nobody, the one that was not used for the longest first. */
    evictable: (): Root[] =>
      all<never>(
        `SELECT * FROM root WHERE cid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pin WHERE root = id)
         AND NOT EXISTS (SELECT 1 FROM hold WHERE root = id) ORDER BY usedAt`
      )
        .map(row => asRoot(row)!)
        .filter(({ id }) => !busy.has(id)),

    /** What the owner's own takes; what is only held for others is not in it. */
    ownCost: (): number =>
      get<{ sum: number }>(
        `SELECT total(cost) AS sum FROM root
         WHERE EXISTS (SELECT 1 FROM pin WHERE root = id) OR NOT EXISTS (SELECT 1 FROM hold WHERE root = id)`
      )!.sum,

    // ---- blocks ----

    /** Notes that the root has this block. False where this pass has seen it before. */
    note(root: number, cid: CID, bytes: number, pass: number): boolean {
      const changed = run(
        `INSERT INTO block (root, cid, cost, pass) VALUES (?, ?, ?, ?)
         ON CONFLICT (root, cid) DO UPDATE SET pass = excluded.pass WHERE pass <> excluded.pass`,
        root,
        cid.toV1().bytes,
        costOf(bytes),
        pass
      )
      return changed > 0
    },

    hasSeen: (root: number, cid: CID, pass: number): boolean =>
      get('SELECT 1 FROM block WHERE root = ? AND cid = ? AND pass = ?', root, cid.toV1().bytes, pass) !=
      null,

    /** For a walk over a root that is not taken for an earlier one. */
    nextPass: (): number => randomInt(1, 2 ** 48 - 1),

    /** Some blocks of a root, from a place in the order of their CIDs on; `from` is random for a random choice. */
    someBlocks: (root: number, from: Uint8Array, count: number): CID[] =>
      all<{ cid: Uint8Array }>(
        'SELECT cid FROM block WHERE root = ? AND cid >= ? ORDER BY cid LIMIT ?',
        root,
        from,
        count
      ).map(({ cid }) => CID.decode(cid)),

    // ---- names ----

    addName(name: string, cid: string, now: number): NameVersion {
      const last = store.versions(name, 1)[0]
      // the same again is no new version
      if (last?.cid === cid) return last
      const version = (last?.version ?? 0) + 1
      run('INSERT INTO name (name, version, cid, at) VALUES (?, ?, ?, ?)', name, version, cid, now)
      return { name, version, cid, at: now }
    },

    /** the newest first */
    versions: (name: string, limit: number): NameVersion[] =>
      all('SELECT * FROM name WHERE name = ? ORDER BY version DESC LIMIT ?', name, limit),

    version: (name: string, version: number): NameVersion | undefined =>
      get('SELECT * FROM name WHERE name = ? AND version = ?', name, version),

    namesOf: (cid: string, limit: number): NameVersion[] =>
      all('SELECT * FROM name WHERE cid = ? ORDER BY at DESC LIMIT ?', cid, limit),

    removeName: (name: string): void => void run('DELETE FROM name WHERE name = ?', name)
  }
  return store
}

export type Store = ReturnType<typeof createStore>
