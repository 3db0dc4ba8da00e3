import type { IsSigned, Log, Signer } from '../context.ts'
import { ChainError, EntryError, LogFullError } from '../errors.ts'
import { type Batch, type Followed, lastSeq, verifyBatch } from '../log/batch.ts'
import type { ChainLog } from '../log/chain-log.ts'
import { type ChainId, type Entry, GENESIS } from '../log/entry.ts'
import { type AppendRequest, chainsAt, type Peers, type Reply } from '../messages.ts'
import { type Chains, MAX_AGENT_CHAINS } from './chains.ts'
import { RECEIPT_DOMAIN, receiptBytes } from './receipt.ts'

const MAX_ALL_CHAINS = 4_096

export interface WitnessInit {
  chains: Chains
  sign: Signer
  isSigned: IsSigned
  now(): number
  /** whether this node is a witness of that agent */
  keeps(agent: string): boolean
  /** whether there is room for more */
  hasRoom(): boolean
  /** new entries of a chain, once they are on the disk */
  onWritten(chain: ChainId, entries: readonly Entry[]): void
  /** An agent signed two entries of one number. The batch that is not kept is the second half of the proof. */
  onFork(chain: ChainId, batch: Batch): void
  log: Log
}

/** Keeps the logs of other nodes, and signs that it has them. */
export function createWitness({
  chains,
  sign,
  isSigned,
  now,
  keeps,
  hasRoom,
  onWritten,
  onFork,
  log
}: WitnessInit) {
  const queues = new Map<string, Promise<unknown>>()
  /** One after the other for each chain. */
  function inTurn<T>({ agent, number }: ChainId, work: () => Promise<T>): Promise<T> {
    const key = `${agent}/${number}`
    const done = (queues.get(key) ?? Promise.resolve()).then(work)
    const settled = done.then(
      () => undefined,
      () => undefined /* told to who asked */
    )
    queues.set(key, settled)
    void settled.then(() => {
      if (queues.get(key) === settled) queues.delete(key)
    })
    return done
  }

  function receipt({ chain, head }: ChainLog): Reply<'append'> {
    const timeMs = now()
    return {
      is: 'receipt',
      ...head,
      timeMs,
      signature: sign(RECEIPT_DOMAIN, receiptBytes(chain, head, timeMs))
    }
  }

  /** A chain is opened for what its agent has signed, and for so many. */
  const hasPlace = ({ agent }: ChainId): boolean =>
    chains.of(agent).length < MAX_AGENT_CHAINS && chains.all().length < MAX_ALL_CHAINS

  async function take(chain: ChainId, batch: Batch, first: number): Promise<Reply<'append'>> {
    let followed: Followed
    try {
      followed = verifyBatch(chain, undefined, batch, isSigned)
    } catch (error) {
      if (error instanceof ChainError) throw new EntryError(error.message)
      throw error
    }
    if (chains.find(chain) == null && !hasPlace(chain)) return { is: 'full' }
    const kept = await chains.kept(chain)
    const { head } = kept
    // what its agent has let go already cannot come any more
    const begins = batch.from === first && batch.from > head.seq + 1
    if (batch.from > head.seq + 1 && !begins) return { is: 'behind', ...head }
    const last = lastSeq(batch)
    const before = await kept.hashAt(batch.from - 1)
    const sameAt = await kept.hashAt(Math.min(last, head.seq))
    const theirs = last <= head.seq ? followed.head.hash : followed.hashes[head.seq - batch.from]
    const isFork =
      (before != null && Buffer.compare(followed.entries[0]!.prev, before) !== 0) ||
      (theirs != null && sameAt != null && Buffer.compare(theirs, sameAt) !== 0)
    if (isFork) {
      onFork(chain, batch)
      return { is: 'fork', ...head }
    }
    if (last <= head.seq) return receipt(kept)
    if (!hasRoom()) return { is: 'full' }
    const skip = Math.max(0, head.seq + 1 - batch.from)
    try {
      await kept.append(
        { ...batch, from: batch.from + skip, entries: batch.entries.slice(skip) },
        followed.head
      )
    } catch (error) {
      if (!(error instanceof LogFullError)) throw error
      log.error('no room for %s: %s', chain.agent, error.message)
      return { is: 'full' }
    }
    onWritten(chain, followed.entries.slice(skip))
    return receipt(kept)
  }

  return {
    /**
     * Takes entries of an agent: a receipt once they are on the disk, also for what was there.
     *
     * @throws {EntryError} what came is no such batch
     */
    append: (agent: string, { number, first, ...batch }: AppendRequest): Promise<Reply<'append'>> =>
      inTurn({ agent, number }, () => take({ agent, number }, batch, first)),

    /** Takes over what another witness has of the chains that are kept here; false when there was nothing. */
    async compare(peer: string, peers: Peers, signal: AbortSignal): Promise<boolean> {
      let isMore = false
      for await (const { agent, number, seq } of chainsAt(peer, peers, undefined, signal)) {
        const chain = { agent, number }
        if (!keeps(agent)) continue
        const lastKept = (): number => chains.find(chain)?.head.seq ?? -1
        // an agent brings its entries itself, and knows which of its chains are over
        while (peer !== agent && seq > lastKept()) {
          const before = lastKept()
          const { batch } = await peers.ask(peer, 'read', { ...chain, from: before + 1 }, { signal })
          if (batch == null) break
          await inTurn(chain, () => take(chain, batch, GENESIS.seq))
          if (lastKept() === before) break
          isMore = true
        }
        const kept = chains.find(chain)
        for (const { from } of [...(kept?.holes ?? [])]) {
          const { batch } = await peers.ask(peer, 'read', { ...chain, from }, { signal })
          if (batch != null) await inTurn(chain, () => kept!.repair(batch))
        }
      }
      return isMore
    }
  }
}

export type Witness = ReturnType<typeof createWitness>
