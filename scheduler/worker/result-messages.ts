import type { Failure, Outcome } from '../../sandbox/index.ts'
import type { SliceResult } from '../protocol/compute-messages.ts'
import { MAX_OUTPUT_BYTES } from '../protocol/limits.ts'

/** What a worker's answers may be at most, so that every one fits into a frame. */

// What a failure may say: the protocol takes no more, and a whole batch of failures must fit into a frame.
export const MAX_MESSAGE_CHARS = 2000
const MAX_STACK_CHARS = 2000

type Outcomes = SliceResult['outcomes']

const sizeOf = (outcomes: Outcomes): number =>
  outcomes.reduce(
    (sum, outcome) =>
      sum + (outcome instanceof Uint8Array ? outcome.length : MAX_MESSAGE_CHARS + MAX_STACK_CHARS),
    0
  )

/** Outcomes of the sandbox as they travel: failures cut short, and in place of too much a failure each. */
export function toTravel(outcomes: readonly Outcome[]): Outcomes {
  const values = outcomes.map(outcome => (outcome.ok ? outcome.value : brief(outcome.failure)))
  const size = sizeOf(values)
  if (size <= MAX_OUTPUT_BYTES) return values
  const message = `the slice gave ${size} bytes, at most ${MAX_OUTPUT_BYTES} travel`
  return values.map(() => ({ name: 'invalid-result', message }))
}

const brief = ({ name, message, stack }: Failure): Failure => ({
  name,
  message: message.slice(0, MAX_MESSAGE_CHARS),
  stack: stack?.slice(0, MAX_STACK_CHARS)
})

/** The result with what its process printed, where it is a failure. */
export function withSaid(result: SliceResult, said: string): SliceResult {
  const isFailed = result.outcomes.some(outcome => !(outcome instanceof Uint8Array))
  return said === '' || !isFailed ? result : { ...result, said: said.slice(0, MAX_MESSAGE_CHARS) }
}

/** Results in messages that stay well below the largest frame. */
export function* inResultMessages(results: SliceResult[]): Generator<SliceResult[]> {
  let message: SliceResult[] = []
  let bytes = 0
  for (const result of results) {
    const size = sizeOf(result.outcomes) + (result.said?.length ?? 0)
    if (bytes + size > MAX_OUTPUT_BYTES && message.length > 0) {
      yield message
      message = []
      bytes = 0
    }
    message.push(result)
    bytes += size
  }
  if (message.length > 0) yield message
}
