import { hash } from 'node:crypto'
import type { BlockFiles } from './block-files.ts'
import { readCid } from './cid.ts'
import { BlockMissingError } from './errors.ts'
import type { HoldRow, HoldRows } from './hold-rows.ts'
import type { Answer, Request } from './messages.ts'
import { type Lending, refusal } from './quota.ts'
import type { Store } from './store.ts'

/** A copy that its owner never asks about again is let go after this. */
const LEASE_MS = 30 * 24 * 3_600_000
/** Copies under way at once; others wait for their owner to ask again. */
const MAX_COPIES = 4

export interface HoldsInit {
  store: Store
  rows: HoldRows
  files: BlockFiles
  lending(): Lending
  now(): number
  /** Fetches all blocks of a root from that peer, or whoever else has them. */
  copy(root: number, from: string, maxCost: number): Promise<void>
  /** Lets go of a root, if nobody wants it. */
  tidy(root: number): Promise<void>
  /** aborts when the service stops */
  signal: AbortSignal
  log: { error(message: string, ...args: unknown[]): void }
}

/** What this node does for the files of others. */
export function createHolds({ store, rows, files, lending, now, copy, tidy, signal, log }: HoldsInit) {
  const copying = new Map<number, Promise<void>>()
  /** why a copy failed, until its owner has heard it */
  const failed = new Map<string, string>()
  const key = (cid: string, peer: string): string => `${peer} ${cid}`

  async function hold(peer: string, { cid, cost }: Request<'hold'>): Promise<Answer<'hold'>> {
    const why = failed.get(key(cid, peer)) ?? (await admit(peer, cid, cost))
    failed.delete(key(cid, peer))
    const row = rows.find(cid, peer)
    if (why != null || row == null) return { is: 'refused', bytes: 0, why: why?.slice(0, 200) }
    rows.seen(row, now())
    const root = store.rootById(row.root)!
    if (root.isWhole) return { is: 'held', bytes: root.cost }
    start(row)
    return { is: 'copying', bytes: root.cost }
  }

  /** Why not, or undefined: then there is a row for it. */
  async function admit(peer: string, cid: string, cost: number): Promise<string | undefined> {
    if (readCid(cid) == null) return 'takes files and folders only'
    // the rounds look whether it is still welcome
    if (rows.find(cid, peer) != null) return undefined
    const free = await files.free()
    const why = refusal({ peer, bytes: cost }, lending(), rows.lent(peer), free)
    // between the question and the answer the same may have been asked once more
    if (why == null && rows.find(cid, peer) == null) rows.add(store.open(cid, now()).id, peer, cost, now())
    return why
  }

  function start(row: HoldRow): void {
    if (copying.has(row.root) || copying.size >= MAX_COPIES) return
    const done = copy(row.root, row.peer, row.granted)
      .catch(async (error: Error) => {
        // its owner is away, or lacks a block itself, and will ask again; or this node stops, and goes on later
        if (error instanceof BlockMissingError || signal.aborted) return
        log.error('no copy of %s for %s: %s', row.cid, row.peer, error.message)
        failed.set(key(row.cid, row.peer), error.message)
        await letGo(row)
      })
      .catch((error: Error) => log.error('a copy of %s stays half done: %s', row.cid, error.message))
      .finally(() => copying.delete(row.root))
    copying.set(row.root, done)
  }

  async function letGo(row: HoldRow): Promise<void> {
    rows.remove(row)
    await tidy(row.root)
  }

  return {
    hold,

    async prove(peer: string, { cid, nonce, blocks }: Request<'prove'>): Promise<Answer<'prove'>> {
      const row = rows.find(cid, peer)
      if (row == null) return { hashes: blocks.map(() => new Uint8Array()) }
      rows.seen(row, now())
      const hashes: Uint8Array[] = []
      for (const block of blocks) hashes.push(await proof(row.root, block, nonce))
      return { hashes }
    },

    async release(peer: string, { cid }: Request<'release'>): Promise<Answer<'release'>> {
      const row = rows.find(cid, peer)
      if (row != null) await letGo(row)
      return {}
    },

    /**
     * Goes on with what was broken off, and lets go of what nobody asks about any more, and of the newest copies where
     * the owner of this node lends less than before.
     */
    async tick(): Promise<void> {
      const kept = { total: 0, peers: new Map<string, number>() }
      for (const row of rows.all()) {
        const { peer, granted } = row
        const lent = { total: kept.total, toPeer: kept.peers.get(peer) ?? 0 }
        const why = refusal({ peer, bytes: granted }, lending(), lent, Number.POSITIVE_INFINITY)
        if (why != null || now() - row.seenAt > LEASE_MS) {
          await letGo(row)
          continue
        }
        kept.total += granted
        kept.peers.set(peer, lent.toPeer + granted)
        if (store.rootById(row.root)?.isWhole === false) start(row)
      }
    },

    async stop(): Promise<void> {
      await Promise.all(copying.values())
    }
  }

  async function proof(root: number, text: string, nonce: Uint8Array): Promise<Uint8Array> {
    const cid = readCid(text)
    if (cid == null) return new Uint8Array()
    try {
      return hash('sha256', Buffer.concat([nonce, await files.get(cid)]), 'buffer')
    } catch (error) {
      if (!(error instanceof BlockMissingError)) throw error
      // lost on this disk: it is copied once more
      store.setWhole(root, false)
      return new Uint8Array()
    }
  }
}

export type Holds = ReturnType<typeof createHolds>
