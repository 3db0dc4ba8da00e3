import { hash, randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create } from 'multiformats/hashes/digest'
import { ranked } from '../host/index.ts'
import type { BlockFiles } from './block-files.ts'
import { BlockMissingError } from './errors.ts'
import type { Peers, Answer as Reply } from './messages.ts'
import { MAX_PROOFS, NONCE_BYTES } from './messages.ts'
import type { PinRow, PinRows } from './pin-rows.ts'
import { type Answer, afterAnswer, newHolder, nextSteps, type Policy, type Step } from './replicas.ts'
import type { Store } from './store.ts'

const ASK_TIMEOUT_MS = 10_000
/** Reading 16 blocks from a slow disk. */
const PROVE_TIMEOUT_MS = 30_000
/** Who never comes back need not be told for ever; its lease ends by itself. */
const TELL_MS = 30 * 24 * 3_600_000
const FIND_EVERY_MS = 30_000
const QUIET_MS = 5_000
const SHA_256 = 0x12
const DIGEST_BYTES = 32
const PINS_AT_ONCE = 8

export interface ReplicateInit {
  store: Store
  pins: PinRows
  files: BlockFiles
  peers: Peers
  policy(): Policy
  now(): number
  /** While a peer proves what it has, it gets no blocks from here. */
  withhold<T>(peer: string, work: () => Promise<T>): Promise<T>
  /** something about the copies of this file has changed */
  changed(cid: string): void
  log: { (message: string, ...args: unknown[]): void; error(message: string, ...args: unknown[]): void }
}

/** Sees to it that other nodes hold as many copies as the owner wants: takes the steps of `replicas.ts`. */
export function createReplicate(init: ReplicateInit) {
  const { store, pins, files, peers, policy, now, withhold, changed, log } = init
  /** peer → until when it is taken for silent */
  const quiet = new Map<string, number>()
  let known: string[] = []
  let foundAt = Number.NEGATIVE_INFINITY

  async function findPeers(signal: AbortSignal): Promise<void> {
    if (now() - foundAt < FIND_EVERY_MS && known.length > 0) return
    foundAt = now()
    const found = new Set<string>()
    for await (const peer of peers.find({ signal })) found.add(peer)
    known = [...found]
  }

  async function serve(pin: PinRow, signal: AbortSignal): Promise<void> {
    const view = { wanted: pin.wanted, holders: pins.holders(pin.root), leftOut: pins.leftOut(pin.root) }
    const steps = nextSteps(view, ranked(pin.cid, known), now(), policy())
    try {
      await Promise.all(steps.map(step => take(pin, step, signal)))
    } catch (error) {
      // then the holders have it
      if (error instanceof BlockMissingError) store.setWhole(pin.root, false)
      log.error('copies of %s: %s', pin.cid, (error as Error).message)
    }
  }

  async function take(pin: PinRow, step: Step, signal: AbortSignal): Promise<void> {
    const { peer } = step
    const root = { id: pin.root, cid: pin.cid }
    if (step.do === 'release') {
      log('%s holds %s no more: %s', peer, pin.cid, step.why)
      pins.release(root, peer, now(), now() + TELL_MS)
      changed(pin.cid)
      return
    }
    if (step.do === 'ask') pins.told(pin.cid, peer)
    const answer = await answerOf(pin, step, signal)
    // unpinned, or fewer wanted, meanwhile
    if (pins.find(pin.root) == null) return pins.release(root, peer, now(), now() + TELL_MS)
    const before = pins.holders(pin.root).find(holder => holder.peer === peer)
    if (before == null && step.do !== 'ask') return
    const after = afterAnswer(before ?? newHolder(peer, now()), answer, now())
    if ('leftOutMs' in after) pins.release(root, peer, now() + after.leftOutMs, now() + TELL_MS)
    else pins.save(pin.root, after)
    if (JSON.stringify(before) !== JSON.stringify(after)) changed(pin.cid)
  }

  /** One that has not answered just now is not asked about every other file too. */
  async function answerOf(pin: PinRow, { do: what, peer }: Step, signal: AbortSignal): Promise<Answer> {
    if ((quiet.get(peer) ?? 0) > now()) return { is: 'silent' }
    const answer = await (what === 'prove' ? prove(pin, peer, signal) : ask(pin, peer, signal))
    if (answer.is === 'silent') quiet.set(peer, now() + QUIET_MS)
    else quiet.delete(peer)
    return answer
  }

  async function ask(pin: PinRow, peer: string, signal: AbortSignal): Promise<Answer> {
    const { cost } = store.rootById(pin.root)!
    try {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
      const reply: Reply<'hold'> = await peers.ask(peer, 'hold', { cid: pin.cid, cost }, { signal: deadline })
      if (reply.is === 'refused') log('%s refuses %s: %s', peer, pin.cid, reply.why)
      return reply
    } catch (error) {
      log('%s does not hold %s: %s', peer, pin.cid, (error as Error).message)
      return { is: 'silent' }
    }
  }

  async function prove(pin: PinRow, peer: string, signal: AbortSignal): Promise<Answer> {
    const blocks = randomBlocks(pin.root)
    const nonce = randomBytes(NONCE_BYTES)
    // before the question, so that the answer need not wait for this disk
    const expected: Uint8Array[] = []
    for (const cid of blocks)
      expected.push(hash('sha256', Buffer.concat([nonce, await files.get(cid)]), 'buffer'))
    return withhold(peer, async () => {
      let hashes: Uint8Array[]
      try {
        const deadline = AbortSignal.any([signal, AbortSignal.timeout(PROVE_TIMEOUT_MS)])
        const request = { cid: pin.cid, nonce, blocks: blocks.map(String) }
        ;({ hashes } = await peers.ask(peer, 'prove', request, { signal: deadline }))
      } catch (error) {
        log('%s proves nothing about %s: %s', peer, pin.cid, (error as Error).message)
        return { is: 'silent' }
      }
      // it says itself that it has lost some, and copies them again
      if (hashes.some(digest => digest.length === 0)) return { is: 'copying', bytes: 0 }
      const right = expected.every(
        (digest, i) => hashes[i] != null && Buffer.compare(digest, hashes[i]) === 0
      )
      if (right) return { is: 'proved' }
      log.error('%s does not have all of %s, and is not asked to hold it again', peer, pin.cid)
      return { is: 'lied' }
    })
  }

  /** One behind each of some random places in the order of CIDs; the root node is always among them. */
  function randomBlocks(root: number): CID[] {
    const some = new Map<string, CID>()
    const first = Uint8Array.of()
    for (let i = 0; i < MAX_PROOFS - 1; i++) {
      const place = CID.createV1(raw.code, create(SHA_256, randomBytes(DIGEST_BYTES))).bytes
      const [cid] = [...store.someBlocks(root, place, 1), ...store.someBlocks(root, first, 1)]
      if (cid != null) some.set(cid.toString(), cid)
    }
    const own = CID.parse(store.rootById(root)!.cid).toV1()
    return [...some.set(own.toString(), own).values()]
  }

  return {
    /** Peers that share files, as far as is known. */
    known: () => known,
    findPeers,

    /** One round: what has to be asked, proved and told now. */
    async tick(signal: AbortSignal): Promise<void> {
      const all = pins.replicated()
      const toTell = pins.toTell(PINS_AT_ONCE, now())
      if (all.some(({ wanted }) => wanted > 0)) await findPeers(signal)
      for (let at = 0; at < all.length; at += PINS_AT_ONCE)
        await Promise.all(all.slice(at, at + PINS_AT_ONCE).map(pin => serve(pin, signal)))
      await Promise.all(
        toTell.map(async ({ cid, peer }) => {
          try {
            const deadline = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
            await peers.ask(peer, 'release', { cid }, { signal: deadline })
            pins.told(cid, peer)
          } catch (error) {
            log('%s is not told yet that it may let go of %s: %s', peer, cid, (error as Error).message)
          }
        })
      )
    }
  }
}

export type Replicate = ReturnType<typeof createReplicate>
