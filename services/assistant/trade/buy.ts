import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { type HostOf, PeerError } from '../../host/index.ts'
import { readEvents } from '../core/events.ts'
import { readRetryAfter } from '../core/retry.ts'
import type { declaration } from '../declaration.ts'
import { StreamError } from '../errors.ts'
import { MAX_QUESTION_BYTES } from '../messages.ts'
import { begun, MAX_BYTES, ProviderError, readError, readJson, type Send, upTo } from '../provider/send.ts'

/** Asks another node that sells answers; see `createSell`. */
export const createBuy =
  (peers: Pick<HostOf<typeof declaration>['peers'], 'open'>, now: () => number): Send =>
  async ({ name, provider, model }, _, body, signal) => {
    const asked = Buffer.from(JSON.stringify({ ...body, model: model.upstream ?? model.id }))
    if (asked.length > MAX_QUESTION_BYTES)
      throw new ProviderError(
        { kind: 'status', status: 413 },
        `the question has ${asked.length} bytes, and ${name} takes ${MAX_QUESTION_BYTES}`
      )
    // its models have no other use
    const use = model.use as 'chat' | 'embeddings'
    try {
      checkWayOut()
      const { items } = peers.open(provider.peer!, 'buy', { use, body: asked }, { signal })
      const pieces = items[Symbol.asyncIterator]()
      const { value: head } = await pieces.next()
      if (head == null || !('status' in head)) throw new StreamError(`${name} answered with no status`)
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

async function* bytesOf(pieces: AsyncIterator<object>): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const { value, done } = await pieces.next()
      if (done === true) return
      if (!('bytes' in value)) throw new StreamError('a second status in one answer')
      yield value.bytes as Uint8Array
    }
  } finally {
    await pieces.return?.()
  }
}

/** What came in place of an answer. */
function told(error: Error, name: string): Error {
  if (error instanceof ProviderError || error instanceof StreamError) return error
  const message = `${name}: ${error.message}`
  if (error.name === 'OverdueError') return new ProviderError({ kind: 'overdue' }, message)
  if (!(error instanceof PeerError)) return new ProviderError({ kind: 'connect' }, message)
  const status = error.name === 'ForbiddenError' ? 403 : 502
  return new ProviderError({ kind: 'status', status, code: error.name }, message)
}
