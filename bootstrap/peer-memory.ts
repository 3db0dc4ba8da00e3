import { LevelDatastore } from 'datastore-level'
import type { Key, KeyQuery, Pair, Query } from 'interface-datastore'

const PEERS = '/peers/'
/** What is known of a peer goes to the disk so long after it changed, together with others. */
const WRITE_MS = 5_000
/** A peer takes a few hundred bytes; so many that wait are written at once. */
const MOST_PEERS = 1_000

/**
 * A datastore that has in memory what libp2p knows of peers: it reads and writes that with every stream, which was a third of
 * what an idle node costs. A node that is killed forgets the last seconds of it, and learns them again.
 */
export class PeerMemory extends LevelDatastore {
  readonly #peers = new Map<string, Uint8Array>()
  readonly #unwritten = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  override async get(key: Key, options?: Parameters<LevelDatastore['get']>[1]): Promise<Uint8Array> {
    const name = key.toString()
    const known = this.#peers.get(name)
    if (known != null) return known
    const value = await super.get(key, options)
    // written meanwhile
    const newer = this.#peers.get(name)
    if (newer != null) return newer
    if (name.startsWith(PEERS)) this.#remember(name, value)
    return value
  }

  override async has(key: Key, options?: Parameters<LevelDatastore['has']>[1]): Promise<boolean> {
    return this.#peers.has(key.toString()) || super.has(key, options)
  }

  override async put(
    key: Key,
    value: Uint8Array,
    options?: Parameters<LevelDatastore['put']>[2]
  ): Promise<Key> {
    const name = key.toString()
    if (!name.startsWith(PEERS)) return super.put(key, value, options)
    this.#unwritten.add(name)
    this.#remember(name, value)
    if (this.#unwritten.size < MOST_PEERS) this.#writeLater()
    else
      try {
        await this.#write()
      } catch (error) {
        // as many as may be are in memory, and wait for the disk
        this.#unwritten.delete(name)
        this.#peers.delete(name)
        throw error
      }
    return key
  }

  override async delete(key: Key, options?: Parameters<LevelDatastore['delete']>[1]): Promise<void> {
    this.#unwritten.delete(key.toString())
    this.#peers.delete(key.toString())
    await super.delete(key, options)
  }

  override async *query(
    query: Query,
    options?: Parameters<LevelDatastore['query']>[1]
  ): AsyncGenerator<Pair> {
    await this.#writeOrKeep()
    yield* super.query(query, options)
  }

  override async *queryKeys(
    query: KeyQuery,
    options?: Parameters<LevelDatastore['queryKeys']>[1]
  ): AsyncGenerator<Key> {
    await this.#writeOrKeep()
    yield* super.queryKeys(query, options)
  }

  override async close(): Promise<void> {
    await this.#write()
    await super.close()
  }

  /** The one that was not written for longest goes. */
  #remember(name: string, value: Uint8Array): void {
    this.#peers.delete(name)
    this.#peers.set(name, value)
    for (const [other] of this.#peers) {
      if (this.#peers.size <= MOST_PEERS) break
      if (!this.#unwritten.has(other)) this.#peers.delete(other)
    }
  }

  async #write(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#unwritten.size === 0) return
    const names = [...this.#unwritten]
    this.#unwritten.clear()
    try {
      await this.db.batch(names.map(key => ({ type: 'put', key, value: this.#peers.get(key)! })))
    } catch (error) {
      for (const name of names) if (this.#peers.has(name)) this.#unwritten.add(name)
      throw error
    }
  }

  /** A disk that is full keeps nobody from what is there already: the rest is in memory, and tried again. */
  async #writeOrKeep(): Promise<void> {
    try {
      await this.#write()
    } catch {
      this.#writeLater()
    }
  }

  #writeLater(): void {
    this.#timer ??= setTimeout(() => this.#writeOrKeep(), WRITE_MS).unref()
  }
}
