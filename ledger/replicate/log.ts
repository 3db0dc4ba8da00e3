import {
  createOrbitDB,
  Entry,
  type EntryValue,
  type OrbitDB,
  type OrbitIdentity,
  type Storage
} from '@orbitdb/core'
import { MalformedError } from '../errors.ts'
import { accountOf, isEqual, isSignedBy, keyOf, type Signer } from '../records/keys.ts'
import type { LedgerNetwork } from '../records/network.ts'
import type { AccountId } from '../records/types.ts'
import type { Store } from '../store/store.ts'

/** What one witness can make every node keep of an epoch; an honest one stays far below. */
const MAX_LOG_ENTRIES = 2 ** 20

/** One entry of a log: a batch with the largest item (a fork proof) and OrbitDB's frame around it. */
export const MAX_ENTRY_BYTES = 600 * 1024
/** An entry is verified when it arrives, when OrbitDB joins it, and as the parent of the next. */
const MAX_VERIFIED = 64
const READ_ENTRIES = 64
const ENTRY_DOMAIN = 'artel/ledger/entry/1'
const ACCESS_TYPE = 'artel-witness'

/**
 * The OrbitDB log of one witness in one epoch. Only that witness can append, its entries form one chain, and every
 * node keeps a copy. A bad witness can spoil no log but its own.
 */
export interface WitnessLog {
  readonly name: string
  readonly witness: number
  /** entries here */
  length(): number
  /** payloads of the first `count` entries, a few at a time */
  payloads(count: number): AsyncGenerator<Uint8Array>
  /** Appends a batch to the own log; gives the encoded entry. */
  append(payload: Uint8Array): Promise<Uint8Array>
  /** Form, place and signature of an entry from a peer. @throws {MalformedError} */
  check(bytes: Uint8Array): Promise<EntryValue>
  /** Takes a checked entry that continues the log; false when it does not. */
  join(entry: EntryValue): Promise<boolean>
  read(after: number, limit: number): Uint8Array[]
  close(): Promise<void>
}

export const payloadOf = (entry: EntryValue): Uint8Array => entry.payload as Uint8Array

/**
 * OrbitDB's identities are another key and a block to fetch from whoever wrote an entry; nothing ties the two (an
 * entry names any identity and is checked against any key). Here the identity is the account itself, so there is
 * nothing to look up and nothing to forge.
 */
function identityOf(signer: Signer): OrbitIdentity {
  const verified = new Map<string, Uint8Array>()
  return {
    id: signer.account,
    publicKey: hexKeyOf(signer.account),
    hash: signer.account,
    type: 'artel',
    sign: async (_, bytes) => Buffer.from(signer.sign(ENTRY_DOMAIN, bytes)).toString('hex'),
    verify: async (signature, key, bytes) => {
      const known = verified.get(key + signature)
      if (known != null) return isEqual(known, bytes)
      const account = accountOf(Buffer.from(key, 'hex'))
      if (!isSignedBy(account, ENTRY_DOMAIN, bytes, Buffer.from(signature, 'hex'))) return false
      if (verified.size >= MAX_VERIFIED) verified.delete(verified.keys().next().value!)
      verified.set(key + signature, bytes)
      return true
    }
  }
}

const hexKeyOf = (account: AccountId): string => Buffer.from(keyOf(account)).toString('hex')

/**
 * Who may append: the witness of this log, with its own key and signature, one entry after the other. Everything is
 * in the entry, nothing is fetched, so a forged one costs a few comparisons.
 */
function mayAppend(entry: EntryValue, logId: string, writer: AccountId): boolean {
  const key = hexKeyOf(writer)
  const { time, id } = entry.clock ?? {}
  return (
    entry.id === logId &&
    entry.v === 2 &&
    entry.key === key &&
    entry.identity === writer &&
    id === key &&
    Number.isSafeInteger(time) &&
    time > 0 &&
    Array.isArray(entry.next) &&
    entry.next.length === (time === 1 ? 0 : 1) &&
    entry.next.every(hash => typeof hash === 'string') &&
    Array.isArray(entry.refs) &&
    entry.refs.length === 0 &&
    typeof entry.sig === 'string' &&
    entry.payload instanceof Uint8Array
  )
}

export interface LogsInit {
  directory: string
  network: LedgerNetwork
}

export interface LogsComponents {
  /** blocks of OrbitDB's manifests */
  ipfs: unknown
  signer: Signer
  store: Store
}

export interface Logs {
  open(epoch: number): Promise<WitnessLog[]>
  stop(): Promise<void>
}

export const createLogs =
  ({ directory, network }: LogsInit) =>
  async ({ ipfs, signer, store }: LogsComponents): Promise<Logs> => {
    const identity = identityOf(signer)
    const orbitdb: OrbitDB = await createOrbitDB({
      ipfs,
      directory,
      id: signer.account,
      identity,
      // only access controllers would use these, and ours does not
      identities: {}
    })

    const openLog = async (epoch: number, witness: number): Promise<WitnessLog> => {
      const account = network.witnesses[witness]!
      const name = `${epoch}/${witness}`
      const db = await orbitdb.open(`artel/${network.id}/${epoch}/${account}`, {
        type: 'events',
        // ours tells peers apart, has limits and repeats; OrbitDB's exchanges heads once and waits 30 s for a parent
        sync: false,
        referencesCount: 0,
        AccessController: async () => ({
          type: ACCESS_TYPE,
          address: `/${ACCESS_TYPE}/${account}`,
          canAppend: async (entry: EntryValue) => mayAppend(entry, db.address, account)
        }),
        entryStorage: entryStorage(store, name),
        headsStorage: headsStorage(store, name),
        indexStorage: indexStorage(store)
      })
      const { log } = db

      return {
        name,
        witness,
        length: () => store.lengthOf(name),
        append: async payload => {
          const { hash } = await log.append(payload, { referencesCount: 0 })
          return store.entry(hash)!
        },
        check: async bytes => {
          if (bytes.length > MAX_ENTRY_BYTES)
            throw new MalformedError(`an entry has ${bytes.length} bytes, at most ${MAX_ENTRY_BYTES}`)
          let entry: EntryValue
          try {
            entry = await Entry.decode(bytes)
          } catch (error) {
            throw new MalformedError(`not an entry: ${(error as Error).message.slice(0, 200)}`)
          }
          if (!mayAppend(entry, db.address, account) || !(await Entry.verify(identity, entry)))
            throw new MalformedError(`an entry of the log of ${account} is not by that witness`)
          return entry
        },
        join: async entry => {
          const length = store.lengthOf(name)
          if (entry.clock.time !== length + 1 || length >= MAX_LOG_ENTRIES) return false
          // a second chain of the same witness is not followed
          if (length > 0 && store.entry(entry.next[0]!) == null) return false
          return log.joinEntry(entry)
        },
        payloads: async function* (count) {
          for (let at = 0; at < count; at += READ_ENTRIES) {
            for (const bytes of store.entries(name, at, Math.min(READ_ENTRIES, count - at)))
              yield payloadOf(await Entry.decode(bytes))
          }
        },
        read: (after, limit) => store.entries(name, after, limit),
        close: () => db.close()
      }
    }

    return {
      open: epoch => Promise.all(network.witnesses.map((_, witness) => openLog(epoch, witness))),
      stop: () => orbitdb.stop()
    }
  }

/** OrbitDB's storages over our SQLite file: one file to sync, and a position for every entry. */
function entryStorage(store: Store, log: string): Storage<Uint8Array> {
  return storage({
    put: async (hash, bytes) => {
      const { clock } = await Entry.decode(bytes)
      store.putEntry(log, clock.time, hash, bytes)
    },
    get: async hash => store.entry(hash)
  })
}

/** A log is one chain, so its head is its last entry; kept nowhere else, the two cannot disagree after a crash. */
function headsStorage(store: Store, log: string): Storage<Uint8Array> {
  return storage({
    put: async () => undefined,
    get: async () => {
      const hash = store.headOf(log)
      return hash == null ? undefined : Buffer.from(JSON.stringify([{ hash, next: [] }]))
    }
  })
}

/** What is an entry is in the log. */
function indexStorage(store: Store): Storage<unknown> {
  return storage({ put: async () => undefined, get: async hash => store.entry(hash) && true })
}

function storage<T>(methods: Pick<Storage<T>, 'put' | 'get'>): Storage<T> {
  const nothing = async (): Promise<void> => undefined
  return {
    ...methods,
    del: nothing,
    iterator: async function* () {},
    merge: nothing,
    clear: nothing,
    close: nothing
  }
}
