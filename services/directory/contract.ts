import type { PeerInfo, Startable } from '@libp2p/interface'

/** Finds who offers a service. Answers are hints: a provider may have left, and must prove itself when asked. */
export interface Directory extends Startable {
  /**
   * Offers `service` (`artel/<name>/<version>`) from now on, while the directory is started: tries until
   * somebody holds the record, and again before it expires. Idempotent.
   *
   * @throws {ServiceKeyError}
   */
  announce(service: string): void
  /**
   * Stops offering. What others already hold cannot be taken back and expires by itself.
   */
  withdraw(service: string): Promise<void>
  /** Announced services, and how many other nodes took the last announcement; 0 = nobody can find it yet. */
  announced(): ReadonlyMap<string, number>
  /**
   * Other nodes that offer `service`, each once, as they are found. Ends when the DHT knows no more, after
   * `limit` providers, or at the deadline; rejects only when `signal` aborts.
   *
   * @throws {ServiceKeyError}
   */
  find(service: string, options?: FindOptions): AsyncIterable<PeerInfo>
}

export interface FindOptions {
  signal?: AbortSignal
  /** most providers; default: 100 */
  limit?: number
  /** default: 10 s */
  deadlineMs?: number
}
