import { randomUUID } from 'node:crypto'
import { type Bytes, createDeadline, OverdueError } from '../host/index.ts'
import type { Asked, Origin } from './ask.ts'
import { type Completion, toChunks } from './core/chunks.ts'
import { END, frame } from './core/events.ts'
import { AssistantError } from './errors.ts'
import type { Piece, Reader } from './flight.ts'
import type { Json } from './provider/send.ts'

/** Of answers that no client waits for: a bot's and a job's. Providers may send a byte now and then for ever. */
const ANSWER_MS = 10 * 60_000
export const EVENTS_TYPE = 'text/event-stream; charset=utf-8'
const JSON_TYPE = 'application/json; charset=utf-8'

const headersOf = (origin?: Origin, cost?: bigint): Record<string, string> => ({
  'x-request-id': randomUUID(),
  ...(origin == null ? {} : { 'artel-cache': origin }),
  ...(cost == null ? {} : { 'artel-cost': String(cost) })
})

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

export function jsonAnswer(value: unknown, status = 200, headers = headersOf()): Bytes {
  const whole = Buffer.from(JSON.stringify(value))
  return { chunks: once(whole), whole, size: whole.byteLength, type: JSON_TYPE, status, headers }
}

const errorBody = ({ message, type, code }: AssistantError) => ({
  error: { message, type, code, param: null }
})

/** An error as OpenAI's clients know it, or LibreTranslate's. */
export function errorAnswer(error: AssistantError, isPlain = false): Bytes {
  const { retryAfterMs } = error
  return jsonAnswer(isPlain ? { error: error.message } : errorBody(error), error.status, {
    ...headersOf(),
    ...(retryAfterMs == null ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) })
  })
}

/** The whole of an answer. */
export async function wholeAnswer(asked: Asked, change: (answer: Json) => Json = same): Promise<Bytes> {
  if ('answer' in asked) return jsonAnswer(change(asked.answer), 200, headersOf(asked.origin, 0n))
  const { reader, origin, cost } = asked
  try {
    const answer = await reader.whole
    return jsonAnswer(change(answer), 200, headersOf(origin, cost()))
  } finally {
    reader.leave()
  }
}

const same = (answer: Json): Json => answer

/** An answer piece by piece; what fails before the first is an error with its status. */
export async function streamAnswer(asked: Asked, wantsUsage: boolean): Promise<Bytes> {
  const isHit = 'answer' in asked
  if (!isHit)
    try {
      await asked.reader.begun
    } catch (error) {
      asked.reader.leave()
      throw error
    }
  return {
    chunks: isHit ? eventsOf(piecesOf(asked.answer), wantsUsage) : untilLeft(asked.reader, wantsUsage),
    type: EVENTS_TYPE,
    headers: {
      ...headersOf(asked.origin, isHit ? 0n : undefined),
      'cache-control': 'no-store',
      'x-accel-buffering': 'no'
    }
  }
}

/**
 * What is said in an answer, as it comes.
 *
 * @param ms after this it is given up
 * @throws {AssistantError}
 */
export async function* textsOf(asked: Asked, signal: AbortSignal, ms = ANSWER_MS): AsyncGenerator<string> {
  if ('answer' in asked) {
    for await (const piece of piecesOf(asked.answer)) yield* contentOf(piece)
    return
  }
  const { reader } = asked
  using deadline = createDeadline('the answer', ms, [signal])
  const pieces = piecesOfFlight(reader)
  try {
    for (;;) {
      const next = await deadline.within(pieces.next())
      if (next.done === true) return
      yield* contentOf(next.value)
    }
  } catch (error) {
    throw told(error)
  } finally {
    reader.leave()
  }
}

/**
 * The whole of an answer that nobody looks at meanwhile; who ends the signal ends the call.
 *
 * @param ms after this it is given up
 * @throws {AssistantError}
 */
export async function answerOf(asked: Asked, signal: AbortSignal, ms = ANSWER_MS): Promise<Json> {
  if ('answer' in asked) return asked.answer
  using deadline = createDeadline('the answer', ms, [signal])
  try {
    return await deadline.within(asked.reader.whole)
  } catch (error) {
    throw told(error)
  } finally {
    asked.reader.leave()
  }
}

const told = (error: unknown): unknown =>
  error instanceof OverdueError ? new AssistantError(504, 'api_error', 'overdue', error.message) : error

function* contentOf({ text }: Piece): Generator<string> {
  const { choices } = JSON.parse(text) as { choices: { delta?: { content?: unknown } }[] }
  const content = choices[0]?.delta?.content
  if (typeof content === 'string') yield content
}

/** Whoever wants no more ends it at once, also while it waits for a piece. */
function untilLeft(reader: Reader, wantsUsage: boolean): AsyncIterable<Uint8Array> {
  const events = eventsOf(piecesOfFlight(reader), wantsUsage)
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const result = await events.next()
        if (result.done === true) reader.leave()
        return result
      },
      async return() {
        reader.leave()
        return { done: true, value: undefined }
      }
    })
  }
}

/** A flight of a plain question has its pieces at the end. */
async function* piecesOfFlight(reader: Reader): AsyncGenerator<Piece> {
  let count = 0
  for await (const piece of reader.pieces()) {
    count++
    yield piece
  }
  if (count === 0) yield* piecesOf(await reader.whole)
}

async function* piecesOf(answer: Json): AsyncGenerator<Piece> {
  const { usage } = answer
  const chunks = toChunks(answer as Completion)
  for (const chunk of chunks) yield { text: JSON.stringify(chunk) }
  if (usage != null) yield { text: JSON.stringify({ ...chunks.at(-1), choices: [], usage }), isUsage: true }
}

/** Without `[DONE]` where the answer did not come to its end: a client takes a silent end for one. */
async function* eventsOf(pieces: AsyncIterable<Piece>, wantsUsage: boolean): AsyncGenerator<Uint8Array> {
  try {
    for await (const { text, isUsage } of pieces)
      if (wantsUsage || isUsage !== true) yield Buffer.from(frame(text))
    yield Buffer.from(END)
  } catch (error) {
    if (!(error instanceof AssistantError)) throw error
    yield Buffer.from(frame(JSON.stringify(errorBody(error))))
  }
}
