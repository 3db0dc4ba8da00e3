import type { SliceWork } from '../../ledger/index.ts'
import type { Failure, Outcome } from '../../sandbox/index.ts'
import { keepItems } from '../data/kept-items.ts'
import { inputBytes, type SliceInput } from '../data/pieced-input.ts'
import type { LeasedSlice, SliceResult } from '../protocol/compute-messages.ts'
import { spill } from '../protocol/kept-partitions.ts'
import { digestOf } from '../trust/answer-digest.ts'
import type { KeptBlocks } from './kept-blocks.ts'
import type { KeptData } from './kept-data.ts'
import type { Requester } from './requester.ts'
import { MAX_MESSAGE_CHARS, toTravel } from './result-messages.ts'

export interface AnswerSigner {
  /** where answers stay that other workers fetch */
  kept: Pick<KeptBlocks, 'put'>
  /** where results stay for later jobs */
  stays: Pick<KeptData, 'put'>
  /** this node's signature under an answer */
  sign(job: string, work: SliceWork): Uint8Array
}

type Asker = Pick<Requester, 'id' | 'own'>

// This node believes itself; where its word is to count for others, it is signed then (jobs/settle-job).
const UNSIGNED = new Uint8Array(0)

/** Makes the answers to slices. */
export function createSignedAnswers({ kept, stays, sign }: AnswerSigner) {
  /** What is sent of a slice's outcomes, or why nothing: what is to stay has no room. */
  function toSend(
    requester: string,
    { keep, stay, job, inputs }: LeasedSlice,
    own: Outcome[]
  ): SliceResult['outcomes'] | string {
    const outcomes = toTravel(own)
    const [value] = outcomes
    const isOne = outcomes.length === 1 && value instanceof Uint8Array
    if (stay && isOne) {
      const { value: told, blocks } = keepItems(value)
      return stays.put(requester, job, blocks) ?? [told]
    }
    const spilled = keep && isOne ? spill(value, bytesOf(inputs)) : undefined
    if (spilled == null) return outcomes
    for (const [digest, block] of spilled.blocks) kept.put(digest, block)
    return [spilled.value]
  }

  function signed(
    { own }: Asker,
    slice: LeasedSlice,
    ms: number,
    outcomes: SliceResult['outcomes']
  ): SliceResult {
    if (own) return { id: slice.id, ms, outcomes, signature: UNSIGNED }
    const work = { slice: slice.id, digest: digestOf(outcomes), amount: BigInt(slice.price) }
    return { id: slice.id, ms, outcomes, signature: sign(slice.job, work) }
  }

  return {
    /** The answers to slices whose inputs ran one after the other. `onRefused`: there is no room for what is to stay. */
    of(
      requester: Asker,
      slices: LeasedSlice[],
      outcomes: Outcome[],
      onRefused: (slice: LeasedSlice, reason: string) => void
    ): SliceResult[] {
      let at = 0
      return slices.flatMap(slice => {
        const own = outcomes.slice(at, at + slice.inputs.length)
        at += slice.inputs.length
        const ms = own.reduce((sum, outcome) => sum + outcome.ms, 0)
        const told = toSend(requester.id, slice, own)
        if (typeof told !== 'string') return signed(requester, slice, ms, told)
        onRefused(slice, told)
        return []
      })
    },

    /** The same failure for every input of these slices. */
    failed(requester: Asker, slices: LeasedSlice[], { name, message }: Failure): SliceResult[] {
      const failure = { name, message: message.slice(0, MAX_MESSAGE_CHARS) }
      return slices.map(slice =>
        signed(
          requester,
          slice,
          0,
          slice.inputs.map(() => failure)
        )
      )
    }
  }
}

const bytesOf = (inputs: SliceInput[]): number => inputs.reduce((sum, input) => sum + inputBytes(input), 0)

export type SignedAnswers = ReturnType<typeof createSignedAnswers>
