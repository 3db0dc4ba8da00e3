/** What we use of @orbitdb/core 4, which ships no types. */
declare module '@orbitdb/core' {
  export interface EntryValue {
    id: string
    payload: unknown
    next: string[]
    refs: string[]
    clock: { id: string; time: number }
    v: number
    key: string
    identity: string
    sig: string
    hash: string
  }
  export interface Storage<T = unknown> {
    put(key: string, value: T): Promise<void>
    get(key: string): Promise<T | undefined>
    del(key: string): Promise<void>
    iterator(options?: { amount?: number; reverse?: boolean }): AsyncIterable<[string, T]>
    merge(other: unknown): Promise<void>
    clear(): Promise<void>
    close(): Promise<void>
  }
  export interface OrbitIdentity {
    id: string
    publicKey: string
    hash: string
    type: string
    sign(identity: OrbitIdentity, bytes: Uint8Array): Promise<string>
    verify(signature: string, publicKey: string, bytes: Uint8Array): Promise<boolean>
  }
  export interface Database {
    address: string
    log: {
      heads(): Promise<EntryValue[]>
      get(hash: string): Promise<EntryValue | undefined>
      append(payload: unknown, options: { referencesCount: number }): Promise<EntryValue>
      joinEntry(entry: EntryValue): Promise<boolean>
    }
    close(): Promise<void>
  }
  export interface OrbitDB {
    open(name: string, options: Record<string, unknown>): Promise<Database>
    stop(): Promise<void>
  }
  export function createOrbitDB(init: Record<string, unknown>): Promise<OrbitDB>
  export const Entry: {
    decode(bytes: Uint8Array): Promise<EntryValue>
    encode(entry: EntryValue): Promise<{ hash: string; bytes: Uint8Array }>
    verify(identity: OrbitIdentity, entry: EntryValue): Promise<boolean>
    create(
      identity: OrbitIdentity,
      id: string,
      payload: unknown,
      encrypt: undefined,
      clock: { id: string; time: number },
      next: string[],
      refs: string[]
    ): Promise<EntryValue>
  }
}
