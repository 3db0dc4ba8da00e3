import { setTimeout as delay } from 'node:timers/promises'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { type HostOf, type Item, OverdueError, PeerError, RequestError } from '../../host/index.ts'
import { readEvents } from '../core/events.ts'
import { readRetryAfter } from '../core/retry.ts'
import type { declaration } from '../declaration.ts'
import { StreamError } from '../errors.ts'
import { MAX_QUESTION_BYTES, type messages } from '../messages.ts'
import { begun, MAX_BYTES, ProviderError, readError, readJson, type Send, upTo } from '../provider/send.ts'

/** Looks for an answer that was lost on its way, after 0.5, 1, 2 … s: the seller keeps it for half a minute. */
const TRIES = 5
const FIRST_WAIT_MS = 500

/** Asks another node that sells answers; see `createSell`. */
export const createBuy =
  (peers: Pick<HostOf<typeof declaration>['peers'], 'open' | 'ask'>, now: () => number): Send =>
  async ({ name, provider, model }, _, body, signal, id) => {
    const asked = Buffer.from(JSON.stringify({ ...body, model: model.upstream ?? model.id }))
    if (asked.length > MAX_QUESTION_BYTES)
      throw new ProviderError(
        { kind: 'status', status: 413 },
        `the question has ${asked.length} bytes, and ${name} takes ${MAX_QUESTION_BYTES}`
      )
    // its models have no other use
    const use = model.use as 'chat' | 'embeddings'
    const seller = provider.peer!
    const pieces = unbroken(
      from => peers.open(seller, 'buy', { use, body: asked, id, from }, { signal }).items,
      // who cannot be told ends it by himself soon
      () => void peers.ask(seller, 'leave', { id }).catch(() => undefined),
      signal
    )
    try {
      checkWayOut()
      const { value: head } = await pieces.next()
      if (head == null || !('status' in head)) {
        await pieces.return(undefined)
        throw new StreamError(`${name} answered with no status`)
      }
      const bytes = upTo(MAX_BYTES, bytesOf(pieces))
      if (head.status === 200 && head.isStream) return { events: await begun(readEvents(bytes), name, '') }
      const text = Buffer.concat(await Array.fromAsync(bytes)).toString()
      if (head.status === 200) return { whole: readJson(text, name) }
      const { message, code } = readError(text, '')
      const retryAfterMs = readRetryAfter(head.retryAfter, now())
      throw new ProviderError(
        { kind: 'status', status: head.status, code, retryAfterMs },
        message ?? `${name} answered ${head.status}`
      )
    } catch (error) {
      signal.throwIfAborted()
      throw told(error as Error, name)
    }
  }

type Piece = Item<(typeof messages)['buy']>

/**
 * The answer from its status on. Where the line breaks, the rest of it, if the seller has said that he keeps it.
 *
 * @param leave nobody wants the answer any more that is kept
 */
async function* unbroken(
  open: (from: number) => AsyncIterable<Piece>,
  leave: () => void,
  signal: AbortSignal
): AsyncGenerator<Exclude<Piece, { isKept: true }>> {
  let from = 0
  let isKept = false
  let isDone = false
  try {
    for (let tries = 1; ; tries++) {
      try {
        for await (const piece of open(from)) {
          if ('isKept' in piece) isKept = true
          else {
            tries = 1
            from++
            yield piece
          }
        }
        isDone = true
        return
      } catch (error) {
        if (signal.aborted || !isKept || tries === TRIES || !isLost(error as Error)) throw error
      }
      await delay(FIRST_WAIT_MS * 2 ** (tries - 1), undefined, { signal })
    }
  } finally {
    if (isKept && !isDone) leave()
  }
}

/** The line, and not the answer. */
const isLost = (error: Error): boolean =>
  !(error instanceof PeerError || error instanceof RequestError || error instanceof OverdueError)

async function* bytesOf(pieces: AsyncIterable<object>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    if (!('bytes' in piece)) throw new StreamError('a second status in one answer')
    yield piece.bytes as Uint8Array
  }
}

/** What came in place of an answer. */
function told(error: Error, name: string): Error {
  if (error instanceof ProviderError || error instanceof StreamError) return error
  const message = `${name}: ${error.message}`
  if (error instanceof OverdueError) return new ProviderError({ kind: 'overdue' }, message)
  if (!(error instanceof PeerError)) return new ProviderError({ kind: 'connect' }, message)
  const status = error.name === 'ForbiddenError' ? 403 : 502
  return new ProviderError({ kind: 'status', status, code: error.name }, message)
}
