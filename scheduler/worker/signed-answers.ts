import type { SliceWork } from '../../ledger/index.ts'
import type { Failure, Outcome } from '../../sandbox/index.ts'
import type { LeasedSlice, SliceResult } from '../protocol/compute-messages.ts'
import { spill } from '../protocol/kept-partitions.ts'
import { digestOf } from '../trust/answer-digest.ts'
import type { KeptBlocks } from './kept-blocks.ts'
import { MAX_MESSAGE_CHARS, toTravel } from './result-messages.ts'

export interface AnswerSigner {
  /** where answers stay that other workers fetch */
  kept: Pick<KeptBlocks, 'put'>
  /** this node's signature under an answer */
  sign(job: string, work: SliceWork): Uint8Array
}

/** Makes the answers to slices. */
export function createSignedAnswers({ kept, sign }: AnswerSigner) {
  /** What is sent of a slice's outcomes. */
  function toSend({ keep }: LeasedSlice, own: Outcome[]): SliceResult['outcomes'] {
    const outcomes = toTravel(own)
    const [value] = outcomes
    const isOne = outcomes.length === 1 && value instanceof Uint8Array
    const spilled = keep && isOne ? spill(value) : undefined
    if (spilled == null) return outcomes
    for (const [digest, block] of spilled.blocks) kept.put(digest, block)
    return [spilled.value]
  }

  function signed(slice: LeasedSlice, ms: number, outcomes: SliceResult['outcomes']): SliceResult {
    const work = { slice: slice.id, digest: digestOf(outcomes), amount: BigInt(slice.price) }
    return { id: slice.id, ms, outcomes, signature: sign(slice.job, work) }
  }

  return {
    /** The answers to slices whose inputs ran one after the other. */
    of(slices: LeasedSlice[], outcomes: Outcome[]): SliceResult[] {
      let at = 0
      return slices.map(slice => {
        const own = outcomes.slice(at, at + slice.inputs.length)
        at += slice.inputs.length
        const ms = own.reduce((sum, outcome) => sum + outcome.ms, 0)
        return signed(slice, ms, toSend(slice, own))
      })
    },

    /** The same failure for every input of these slices. */
    failed(slices: LeasedSlice[], { name, message }: Failure): SliceResult[] {
      const failure = { name, message: message.slice(0, MAX_MESSAGE_CHARS) }
      return slices.map(slice =>
        signed(
          slice,
          0,
          slice.inputs.map(() => failure)
        )
      )
    }
  }
}

export type SignedAnswers = ReturnType<typeof createSignedAnswers>
