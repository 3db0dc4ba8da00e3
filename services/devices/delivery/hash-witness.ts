import type { IsSigned, Signer } from '../context.ts'
import { EntryError, LogFullError } from '../errors.ts'
import { HEAD_DOMAIN, headBytes } from '../log/batch.ts'
import type { Reply, Request } from '../messages.ts'
import { MAX_AGENT_CHAINS } from './chains.ts'
import type { Heads } from './heads.ts'
import { HASH_DOMAIN, receiptBytes } from './receipt.ts'

/** A chain gets no more receipts than one in this time: each is kept for years. */
const EVERY_MS = 55 * 60_000

export interface HashWitnessInit {
  self: string
  heads: Heads
  sign: Signer
  isSigned: IsSigned
  now(): number
  /** An agent signed two entries of one number. */
  onFork(agent: string, number: number): void
}

/**
 * Signs heads of logs that it sees nothing else of. Whoever alters what is before one of them, with all who keep the log,
 * cannot alter that it was signed.
 */
export function createHashWitness({ self, heads, sign, isSigned, now, onFork }: HashWitnessInit) {
  return {
    /**
     * A receipt: for this head, or for what was signed of this chain already, at its place or behind it, or a moment ago.
     *
     * @throws {EntryError} the agent has not signed it @throws {LogFullError} it has begun too many chains
     */
    attest(agent: string, { number, seq, hash, signature }: Request<'attest'>): Reply<'attest'> {
      const chain = { agent, number }
      const head = { seq, hash }
      if (!isSigned(agent, HEAD_DOMAIN, headBytes(chain, head), signature))
        throw new EntryError(`${agent} has not signed this head of chain ${number}`)
      const there = heads.from(chain, self, seq)
      if (there?.seq === seq && Buffer.compare(there.hash, hash) !== 0) onFork(agent, number)
      const newest = there ?? heads.newest(chain, self)
      const timeMs = now()
      // a clock that was set back by more goes on
      if (newest != null && (there != null || Math.abs(timeMs - newest.timeMs) < EVERY_MS)) {
        const { witness, ...receipt } = newest
        return receipt
      }
      if (newest == null && heads.chains(agent).length >= MAX_AGENT_CHAINS)
        throw new LogFullError(`${agent} has begun ${MAX_AGENT_CHAINS} chains`)
      const receipt = {
        ...head,
        timeMs,
        signature: sign(HASH_DOMAIN, receiptBytes(chain, head, timeMs)),
        headSignature: signature
      }
      heads.save(chain, { ...receipt, witness: self })
      return receipt
    }
  }
}
