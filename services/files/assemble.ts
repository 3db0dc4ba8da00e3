import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { openBlockFiles } from './block-files.ts'
import { readCid } from './cid.ts'
import type { Context, Settings } from './context.ts'
import { BlockMissingError, CrowdedError } from './errors.ts'
import { BLOCKS_TIMEOUT_MS, type Log } from './fetch.ts'
import { createFetches } from './fetches.ts'
import { createHoldRows } from './hold-rows.ts'
import { createHolds } from './holds.ts'
import type { Answer, Kind, Peers, Request } from './messages.ts'
import { createOwnFiles, type OwnFiles } from './own-files.ts'
import { createPinRows } from './pin-rows.ts'
import { createReplicate } from './replicate.ts'
import { createRoom } from './room.ts'
import { createStore } from './store.ts'
import { createTransfers, type Transfer } from './transfers.ts'

/** Who takes blocks for so long, and so few, keeps others from their turn. */
const SLOW_AFTER_MS = 10_000
const SLOW_BYTES_PER_MS = 32

export interface AssembleInit {
  folder: string
  /** of `schema.ts`, up to date */
  db: DatabaseSync
  peers: Peers
  settings(): Settings
  now(): number
  /** aborts when the service stops */
  signal: AbortSignal
  log: Log
  /** for the dashboard */
  tell: { transfers(transfers: Transfer[]): void; changed(cid: string): void }
}

export interface FilesNode {
  own: OwnFiles
  transfers(): Transfer[]
  /** what takes how much of the disk, in bytes of quotas */
  usage(): { own: number; lent: number }
  /** Answers one message of a peer. */
  answer<K extends Kind>(peer: string, kind: K, request: Request<K>): Promise<Answer<K>>
  /**
   * Blocks for a peer, as far as it takes them in the time that it waits for them; empty where one is not here, or not
   * for that peer now.
   *
   * @throws {CrowdedError} as many others as may be are given blocks
   */
  blocks(peer: string, cids: readonly string[]): AsyncGenerator<Uint8Array>
  /** One round of copies, proofs and leases. */
  tick(): Promise<void>
  /** Goes on with what was broken off. */
  resume(): Promise<void>
  /** After `signal`: waits until nothing runs any more. */
  stop(): Promise<void>
}

/** Puts the parts together over one folder and one database. */
export async function assemble(init: AssembleInit): Promise<FilesNode> {
  const { db, peers, settings, now, signal, log, tell } = init
  const files = await openBlockFiles(join(init.folder, 'blocks'))
  const store = createStore(db, files)
  const pins = createPinRows(store)
  const rows = createHoldRows(store)
  const transfers = createTransfers(tell.transfers)
  const room = createRoom({ store, files, quotaBytes: () => settings().quotaBytes })
  const context: Context = {
    store,
    pins,
    files,
    room,
    peers,
    transfers,
    settings,
    changed: tell.changed,
    now,
    signal,
    log
  }
  const fetches = createFetches(context)
  const own = createOwnFiles(context, fetches)
  const holds = createHolds({
    ...context,
    rows,
    lending: () => settings().lending,
    copy: fetches.copyFor,
    tidy: own.tidy
  })
  const proving = new Set<string>()
  /** requests of each peer that are answered with blocks, and how fast it takes them */
  const giving = new Map<string, { requests: number; since: number; bytes: number }>()

  /** Who takes blocks so slowly gives his place to who waits, and asks again for the rest. */
  function letSlowestGo(): void {
    const slow = [...giving].flatMap(([peer, { since, bytes }]) => {
      const ms = now() - since
      return ms > SLOW_AFTER_MS && bytes / ms < SLOW_BYTES_PER_MS ? [{ peer, pace: bytes / ms }] : []
    })
    const [slowest] = slow.sort((a, b) => a.pace - b.pace)
    if (slowest != null) giving.delete(slowest.peer)
  }
  const replicate = createReplicate({
    ...context,
    policy: () => settings().policy,
    async withhold(peer, work) {
      proving.add(peer)
      try {
        return await work()
      } finally {
        proving.delete(peer)
      }
    }
  })
  let resuming: Promise<unknown> = Promise.resolve()

  const answers: { [K in Kind]: (peer: string, request: Request<K>) => Promise<Answer<K>> } = {
    async has(_, { cid }) {
      const { isWhole: has = false, blocks = 0 } = store.root(readCid(cid)?.toString() ?? '') ?? {}
      return { has, hasSome: blocks > 0 }
    },
    hold: holds.hold,
    prove: holds.prove,
    release: holds.release
  }

  async function block(peer: string, text: string): Promise<Uint8Array> {
    const cid = readCid(text)
    if (cid == null || proving.has(peer)) return new Uint8Array()
    try {
      // the peer verifies it
      return await files.read(cid)
    } catch (error) {
      if (error instanceof BlockMissingError) return new Uint8Array()
      throw error
    }
  }

  return {
    own,
    transfers: transfers.list,
    usage: () => ({ own: store.ownCost(), lent: rows.lent('').total }),
    answer: (peer, kind, request) => answers[kind](peer, request),

    async *blocks(peer, cids) {
      const { giveAtOnce } = settings()
      if (!giving.has(peer) && giving.size >= giveAtOnce) letSlowestGo()
      // so that a crowd does not share the line until each of them has waited in vain
      if (!giving.has(peer) && giving.size >= giveAtOnce)
        throw new CrowdedError(`this node gives blocks to ${giving.size} others; ask again`)
      const given = giving.get(peer) ?? { requests: 0, since: now(), bytes: 0 }
      giving.set(peer, given)
      given.requests++
      const until = AbortSignal.timeout(BLOCKS_TIMEOUT_MS)
      try {
        for (const cid of cids) {
          if (until.aborted) return
          if (giving.get(peer) !== given)
            throw new CrowdedError('others wait for blocks, and you take few; ask again for the rest')
          const bytes = await block(peer, cid)
          yield bytes
          given.bytes += bytes.length
        }
      } finally {
        given.requests--
        if (given.requests === 0 && giving.get(peer) === given) giving.delete(peer)
      }
    },

    async tick() {
      await replicate.tick(signal)
      await holds.tick()
      // blocks that this disk has lost come back from the holders
      for (const { root, cid } of pins.damaged()) {
        if (signal.aborted) return
        await own
          .fetch(cid, { signal })
          .catch((error: Error) => log('%s stays damaged: %s', root, error.message))
      }
    },

    resume() {
      resuming = own.resume()
      return resuming as Promise<void>
    },

    async stop() {
      await resuming
      await holds.stop()
      await fetches.stop()
      transfers.stop()
    }
  }
}
