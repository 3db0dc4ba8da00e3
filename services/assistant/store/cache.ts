import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { LRUCache } from 'lru-cache'
import type { SharedEntry } from '../messages.ts'
import { seal, unseal } from './seal.ts'

const HOT_BYTES = 32 * 1024 * 1024
/** An answer that is longer is not kept. */
const MAX_BYTES = 1024 * 1024
/** One of so many goes when the disk is full: who is worth least is found by a look at all. */
const EVICTED = 100
const LEVEL = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }

/** An answer as it is kept; `expires`: ms since 1970. */
export interface Kept {
  sealed: Uint8Array
  expires: number
}

/**
 * Answers by the key of their question, compressed and sealed under the key of their namespace: where that is gone
 * nobody reads them any more, also not from the disk.
 *
 * @param maxBytes of the disk; above it goes what is old, large and seldom asked for
 */
export function createCache(db: DatabaseSync, maxBytes: () => number, now: () => number) {
  const hot = new LRUCache<string, Kept>({
    maxSize: HOT_BYTES,
    sizeCalculation: ({ sealed }) => sealed.length + 100
  })
  const sql = {
    key: db.prepare('SELECT key FROM namespaces WHERE id = ?'),
    addKey: db.prepare('INSERT INTO namespaces (id, key) VALUES (?, ?)'),
    removeKey: db.prepare('DELETE FROM namespaces WHERE id = ?'),
    get: db.prepare('SELECT value AS sealed, expires FROM cache WHERE key = ? AND expires > ?'),
    hit: db.prepare('UPDATE cache SET hits = hits + 1 WHERE key = ?'),
    put: db.prepare(
      'INSERT OR REPLACE INTO cache (key, namespace, value, created, expires, statement) VALUES (?, ?, ?, ?, ?, ?)'
    ),
    standing: db.prepare(
      "SELECT value AS sealed, statement ->> '$.signer' AS signer, statement ->> '$.created' AS created FROM cache WHERE key = ? AND expires > ?"
    ),
    shared: db.prepare(
      'SELECT value AS sealed, statement FROM cache WHERE key = ? AND namespace = ? AND expires > ? AND statement IS NOT NULL'
    ),
    keepSigners: db.prepare(
      // of nobody all are forgotten but what was never shared: NULL is not in an empty list either
      "DELETE FROM cache WHERE statement IS NOT NULL AND statement ->> '$.signer' NOT IN (SELECT value FROM json_each(?))"
    ),
    remove: db.prepare('DELETE FROM cache WHERE namespace = ?'),
    expire: db.prepare('DELETE FROM cache WHERE expires <= ?'),
    size: db.prepare('SELECT count(*) AS entries, coalesce(sum(length(value)), 0) AS bytes FROM cache'),
    worst: db.prepare(
      `DELETE FROM cache WHERE key IN (
         SELECT key FROM cache ORDER BY (?1 - created + 1) * length(value) / (hits + 1) DESC
         LIMIT 1 + (SELECT count(*) FROM cache) / ${EVICTED})`
    )
  }
  const keys = new Map<string, Uint8Array>()
  const count = () => sql.size.get() as { entries: number; bytes: number }
  // counted anew every hour; to look at all for each question would take longer than the answer
  let size = count()

  /** undefined where the bytes are not what was sealed */
  function open(sealed: Uint8Array, namespaceKey: Uint8Array, key: Uint8Array): string | undefined {
    try {
      const bytes = unseal(sealed, namespaceKey, key)
      return brotliDecompressSync(bytes, { maxOutputLength: MAX_BYTES }).toString('utf8')
    } catch {
      // a disk that rots, or a file that somebody has changed: the answer is asked for again
      return undefined
    }
  }

  function store(
    namespace: string,
    key: Uint8Array,
    { sealed, expires }: Kept,
    statement: string | null
  ): void {
    sql.put.run(key, namespace, sealed, now(), expires, statement)
    hot.set(Buffer.from(key).toString('hex'), { sealed, expires })
    size.entries++
    size.bytes += sealed.length
    while (size.bytes > maxBytes()) {
      if (Number(sql.worst.run(now()).changes) === 0) break
      hot.clear()
      size = count()
    }
  }

  /** With who says so, for others. */
  function putShared(namespace: string, key: Uint8Array, { sealed, statement }: SharedEntry): void {
    const { signature, ...said } = statement
    const text = JSON.stringify({ ...said, signature: Buffer.from(signature).toString('base64') })
    store(namespace, key, { sealed, expires: statement.expires }, text)
  }

  return {
    /** The key of a namespace; a new one where there is none. */
    namespaceKey(id: string): Uint8Array {
      const known = keys.get(id) ?? (sql.key.get(id) as { key: Uint8Array } | undefined)?.key
      const key = known ?? randomBytes(32)
      if (known == null) sql.addKey.run(id, key)
      keys.set(id, key)
      return key
    },

    get(namespace: string, key: Uint8Array): string | undefined {
      const id = Buffer.from(key).toString('hex')
      const entry = hot.get(id) ?? (sql.get.get(key, now()) as Kept | undefined)
      if (entry == null || entry.expires <= now()) return undefined
      hot.set(id, entry)
      sql.hit.run(key)
      return open(entry.sealed, this.namespaceKey(namespace), key)
    },

    /** undefined: it is not kept */
    put(namespace: string, key: Uint8Array, text: string, keepMs: number): Kept | undefined {
      const namespaceKey = keys.get(namespace)
      // its user was forgotten while it was asked for
      if (namespaceKey == null || Buffer.byteLength(text) > MAX_BYTES) return undefined
      const sealed = seal(brotliCompressSync(text, LEVEL), namespaceKey, key)
      const kept = { sealed, expires: now() + keepMs }
      store(namespace, key, kept, null)
      return kept
    },

    /** The key of a namespace that others have too; what was kept under another one is nothing any more. */
    useKey: (namespace: string, key: Uint8Array): void => void keys.set(namespace, key),
    has: (key: Uint8Array): boolean =>
      hot.has(Buffer.from(key).toString('hex')) || sql.get.get(key, now()) != null,
    putShared,
    /**
     * What another one has. The first that can be read here stays, so that nobody puts his own in the place of another
     * one's; its signer alone may say it anew.
     */
    takeShared(namespace: string, key: Uint8Array, entry: SharedEntry): void {
      const standing = sql.standing.get(key, now()) as
        | { sealed: Uint8Array; signer: string | null; created: number | null }
        | undefined
      const { signer, created } = entry.statement
      const namespaceKey = keys.get(namespace)
      const isRead = (sealed: Uint8Array): boolean =>
        namespaceKey != null && open(sealed, namespaceKey, key) != null
      const mayReplace =
        standing == null ||
        (standing.signer === signer && standing.created! < created) ||
        (!isRead(standing.sealed) && isRead(entry.sealed))
      if (mayReplace) putShared(namespace, key, entry)
    },
    /** undefined: there is none that somebody has signed */
    shared(namespace: string, key: Uint8Array): SharedEntry | undefined {
      const row = sql.shared.get(key, namespace, now()) as
        | { sealed: Uint8Array; statement: string }
        | undefined
      if (row == null) return undefined
      const said = JSON.parse(row.statement)
      return {
        sealed: row.sealed,
        statement: { ...said, signature: new Uint8Array(Buffer.from(said.signature, 'base64')) }
      }
    },
    /** Forgets what others have signed than these. */
    keepSigners(signers: readonly string[]): void {
      sql.keepSigners.run(JSON.stringify(signers))
      hot.clear()
      size = count()
    },

    /** Forgets a namespace for ever. */
    remove(namespace: string): void {
      sql.remove.run(namespace)
      sql.removeKey.run(namespace)
      keys.delete(namespace)
      hot.clear()
      size = count()
    },

    expire(): void {
      sql.expire.run(now())
      size = count()
    },

    figures: () => ({ ...size, hotBytes: hot.calculatedSize ?? 0 })
  }
}

export type Cache = ReturnType<typeof createCache>
