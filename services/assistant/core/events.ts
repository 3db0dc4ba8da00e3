import { createParser } from 'eventsource-parser'
import { StreamError } from '../errors.ts'

/** One event is a piece of an answer; a tool's arguments may be long. */
const MAX_EVENT_CHARS = 1024 * 1024
const DONE = '[DONE]'

/** `data:` lines as OpenAI's clients read them. Named events would be taken for pieces of the answer. */
export const frame = (data: string): string => `data: ${data}\n\n`
export const END = frame(DONE)

/**
 * The data of server-sent events, wherever the bytes are cut; ends at `[DONE]`.
 *
 * @returns whether `[DONE]` has come
 * @throws {StreamError} an event that is too long
 */
export async function* readEvents(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, boolean> {
  const ready: string[] = []
  let failure: Error | undefined
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: ({ data }) => void ready.push(data),
    onError: error => {
      if (error.type === 'max-buffer-size-exceeded')
        failure = new StreamError(`an event of more than ${MAX_EVENT_CHARS} characters`)
    }
  })
  const decoder = new TextDecoder()
  for await (const chunk of bytes) {
    parser.feed(decoder.decode(chunk, { stream: true }))
    for (const data of ready.splice(0)) {
      if (data === DONE) return true
      yield data
    }
    if (failure != null) throw failure
  }
  return false
}
