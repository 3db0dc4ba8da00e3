import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { Logger } from '@libp2p/interface'
import type { EntryValue } from '@orbitdb/core'
import { MalformedError } from '../errors.ts'
import { bytesOf, fromBytes, integer, list, toBytes } from '../records/codec.ts'
import { MAX_FORK_BYTES } from '../records/fork.ts'
import type { Item } from '../store/store.ts'
import { MAX_ENTRY_BYTES, payloadOf, type WitnessLog } from './log.ts'

/** Entries in one answer; the rest comes with the next. */
const SYNC_LIMIT = 16
const SYNC_BYTES = 512 * 1024
/** Larger entries are only announced; gossip copies a message to many peers. */
const MAX_GOSSIP_ENTRY_BYTES = 48 * 1024
/** Items of one entry. */
const MAX_ITEMS = 4096
const SYNC_TIMEOUT_MS = 20_000
export interface ReplicaInit {
  epoch: number
}

export interface ReplicaComponents {
  logs: WitnessLog[]
  log: Logger
  request(peer: string, method: string, body: unknown, options: { signal: AbortSignal }): Promise<unknown>
  publish(message: Uint8Array): Promise<void>
  /** Takes the items of an entry; must be idempotent. */
  ingest(items: Item[]): void
  /** A peer is in a later epoch. */
  onLater(peer: string): void
  /** Entries came from this peer that gossip had not brought: others may lack them as well. */
  onMissed(peer: string): void
}

/** Keeps the copies of the witnesses' logs equal to those of the peers: gossip for speed, comparing for certainty. */
export interface Replica {
  readonly epoch: number
  readonly logs: WitnessLog[]
  /** Tells the peers that this epoch has begun. */
  announce(): Promise<void>
  /** Appends to the log of this node and tells the peers. */
  append(witness: number, items: Item[]): Promise<void>
  /** A gossip message; judged before it is taken or passed on. */
  onGossip(from: string, message: Uint8Array): Promise<TopicValidatorResult>
  /** Answers a peer's question for what it lacks. */
  serveSync(from: string, body: unknown): unknown
  /** Asks a peer for what we lack until there is nothing more. */
  sync(peer: string): Promise<void>
  /** Resolves when nothing is being written. */
  idle(): Promise<void>
}

export const encodeItems = (items: Item[]): Uint8Array => toBytes(items)

/** Items of a batch; unknown kinds of later versions are for the caller to skip. @throws {MalformedError} */
export const decodeItems = (payload: Uint8Array): Item[] =>
  itemsFrom(fromBytes(payload, MAX_ENTRY_BYTES, 'a batch'))

/** @throws {MalformedError} */
export function itemsFrom(value: unknown): Item[] {
  return list(value, 'a batch', 0, MAX_ITEMS).map(item => {
    const tuple = list(item, 'an item', 2)
    return [integer(tuple[0], 'kind', 0, 255), bytesOf(tuple[1], 'item', 1, MAX_FORK_BYTES)]
  })
}

export const createReplica =
  ({ epoch }: ReplicaInit) =>
  (components: ReplicaComponents): Replica => {
    const { logs, log, request, publish, ingest, onLater, onMissed } = components
    const queues = logs.map(() => Promise.resolve())
    const syncing = new Map<string, Promise<void>>()

    /** Everything that changes one log, one after the other. */
    const inTurn = <T>(witness: number, work: () => Promise<T>): Promise<T> => {
      const result = queues[witness]!.then(work)
      queues[witness] = result.then(
        () => undefined,
        () => undefined // the caller gets the error
      )
      return result
    }

    const take = (witness: number, entry: EntryValue): Promise<'joined' | 'known' | 'gap'> =>
      inTurn(witness, async () => {
        const target = logs[witness]!
        if (entry.clock.time <= target.length()) return 'known'
        if (entry.clock.time > target.length() + 1) return 'gap'
        // first the items, which stand on their own: after a crash in between the entry comes again
        ingest(decodeItems(payloadOf(entry)))
        return (await target.join(entry)) ? 'joined' : 'gap'
      })

    const logOf = (value: unknown): WitnessLog => logs[integer(value, 'witness', 0, logs.length - 1)]!

    const lengthsFrom = (value: unknown): number[] =>
      list(value, 'lengths', logs.length).map(length => integer(length, 'length', 0, Number.MAX_SAFE_INTEGER))

    const syncOnce = async (peer: string): Promise<void> => {
      for (let missed = false; ; missed = true) {
        const before = logs.map(target => target.length())
        const signal = AbortSignal.timeout(SYNC_TIMEOUT_MS)
        const answer = list(await request(peer, 'sync', [epoch, before], { signal }), 'an answer', 2)
        const theirs = integer(answer[0], 'epoch', 0, Number.MAX_SAFE_INTEGER)
        if (theirs > epoch) return onLater(peer)
        let joined = 0
        for (const value of list(answer[1], 'entries', 0, SYNC_LIMIT * logs.length)) {
          const [witness, bytes] = list(value, 'an entry', 2)
          const target = logOf(witness)
          const entry = await target.check(bytesOf(bytes, 'entry', 1, MAX_ENTRY_BYTES))
          if ((await take(target.witness, entry)) === 'joined') joined += 1
        }
        if (joined > 0) continue
        if (missed) onMissed(peer)
        return
      }
    }

    const sync = (peer: string): Promise<void> => {
      let running = syncing.get(peer)
      if (running == null) {
        running = syncOnce(peer)
          .catch(error => log('no sync with %s: %s', peer, (error as Error).message))
          .finally(() => syncing.delete(peer))
        syncing.set(peer, running)
      }
      return running
    }

    return {
      epoch,
      logs,
      announce: () => publish(toBytes([epoch, 0, 0])),
      append: (witness, items) =>
        inTurn(witness, async () => {
          const bytes = await logs[witness]!.append(encodeItems(items))
          const isSmall = bytes.length <= MAX_GOSSIP_ENTRY_BYTES
          await publish(toBytes([epoch, witness, isSmall ? bytes : logs[witness]!.length()]))
        }),
      onGossip: async (from, message) => {
        try {
          const tuple = list(fromBytes(message, MAX_ENTRY_BYTES, 'a message'), 'a message', 3)
          const theirs = integer(tuple[0], 'epoch', 0, Number.MAX_SAFE_INTEGER)
          if (theirs > epoch) void sync(from)
          if (theirs !== epoch) return TopicValidatorResult.Ignore
          const target = logOf(tuple[1])
          if (typeof tuple[2] === 'number') {
            if (tuple[2] > target.length()) void sync(from)
            return TopicValidatorResult.Accept
          }
          const entry = await target.check(bytesOf(tuple[2], 'entry', 1, MAX_GOSSIP_ENTRY_BYTES))
          take(target.witness, entry).then(
            result => void (result === 'gap' && sync(from)),
            error => log('entry of witness %d: %s', target.witness, (error as Error).message)
          )
          return TopicValidatorResult.Accept
        } catch (error) {
          if (error instanceof MalformedError) return TopicValidatorResult.Reject
          throw error
        }
      },
      serveSync: (from, body) => {
        const tuple = list(body, 'a question', 2)
        const theirEpoch = integer(tuple[0], 'epoch', 0, Number.MAX_SAFE_INTEGER)
        if (theirEpoch > epoch) void sync(from)
        if (theirEpoch !== epoch) return [epoch, []]
        const theirs = lengthsFrom(tuple[1])
        const entries: unknown[] = []
        let size = 0
        for (const [witness, after] of theirs.entries()) {
          const target = logs[witness]!
          if (after > target.length()) void sync(from)
          for (const bytes of target.read(after, SYNC_LIMIT)) {
            if (size > 0 && size + bytes.length > SYNC_BYTES) break
            entries.push([witness, bytes])
            size += bytes.length
          }
        }
        return [epoch, entries]
      },
      sync,
      idle: async () => void (await Promise.allSettled([...queues, ...syncing.values()]))
    }
  }
