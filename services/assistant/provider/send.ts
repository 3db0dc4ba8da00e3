import { Agent, type Dispatcher } from 'undici'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { readEvents } from '../core/events.ts'
import { type Failure, readRetryAfter } from '../core/retry.ts'
import { StreamError, UnknownNameError } from '../errors.ts'
import { drawByFal } from './fal.ts'
import type { Keys } from './keys.ts'
import type { Route } from './provider.ts'

export type Json = Record<string, unknown>

/** What a provider answers: all of it, or pieces as they come. */
export type Reply = { whole: Json } | { events: AsyncGenerator<string, boolean> }

/** @param id of the question, the same for all tries */
export type Send = (
  route: Route,
  path: string,
  body: Json | undefined,
  signal: AbortSignal,
  id: string
) => Promise<Reply>

/** A try that failed before its first byte. Its message says what the provider said, without its key. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
  readonly failure: Failure
  constructor(failure: Failure, message: string) {
    super(message)
    this.failure = failure
  }
}

const CONNECT_MS = 10_000
/** an image is there when it is done */
const IMAGE_MS = 5 * 60_000
const WAITS = {
  firstByteMs: 60_000,
  /** between two pieces */
  silenceMs: 30_000,
  /** between two looks whether an image is done */
  lookMs: 1000
}
export const MAX_BYTES = 32 * 1024 * 1024
const MAX_ERROR_BYTES = 64 * 1024

/** Asks providers over HTTP, without a body by GET. Their addresses are the owner's, so they may also be inside. */
export function createSend(keys: Pick<Keys, 'read'>, now: () => number, waits: Partial<typeof WAITS> = {}) {
  const { firstByteMs, silenceMs, lookMs } = { ...WAITS, ...waits }
  const agent = new Agent({
    connect: { timeout: CONNECT_MS },
    bodyTimeout: silenceMs,
    keepAliveTimeout: 30_000
  })

  // parsed once: of each provider that its owner has named
  const places = new Map<string, { origin: string; base: string }>()
  function placeOf(url: string): { origin: string; base: string } {
    const known = places.get(url)
    if (known != null) return known
    const { origin, pathname } = new URL(url)
    const place = { origin, base: pathname.replace(/\/+$/, '') }
    places.set(url, place)
    return place
  }

  async function ask(
    { provider, model, name }: Route,
    path: string,
    body: Json | undefined,
    key: string,
    signal: AbortSignal
  ) {
    if (provider.kind === 'fal') return { whole: await draw({ provider, model, name }, body!, key, signal) }
    const isOpenAi = provider.kind === 'openai'
    const asked = isOpenAi
      ? { ...body, model: model.upstream ?? model.id }
      : { ...body, ...(key === '' ? {} : { api_key: key }) }
    const { origin, base } = placeOf(provider.url!)
    const {
      statusCode,
      headers,
      body: answer
    } = await agent.request({
      origin,
      path: `${base}${path}`,
      method: body == null ? 'GET' : 'POST',
      headersTimeout: model.use === 'images' ? IMAGE_MS : firstByteMs,
      signal,
      headers: {
        'content-type': 'application/json',
        ...(isOpenAi && key !== '' ? { authorization: `Bearer ${key}` } : {})
      },
      body: body && JSON.stringify(asked)
    })
    await expectSuccess({ statusCode, headers, body: answer }, name, key)
    const isStream = [headers['content-type'] ?? ''].flat().join().includes('text/event-stream')
    // nothing else comes in pieces
    if (isStream && model.use === 'chat')
      return { events: await begun(readEvents(upTo(MAX_BYTES, answer)), name, key) }
    return { whole: readJson(await readAll(answer, MAX_BYTES, headers['content-length']), name) }
  }

  async function expectSuccess(
    { statusCode, headers, body }: Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>,
    name: string,
    key: string
  ): Promise<void> {
    if (statusCode >= 200 && statusCode < 300) return
    const { message, code } = readError(await readAll(body, MAX_ERROR_BYTES), key)
    const retryAfterMs = readRetryAfter([headers['retry-after'] ?? []].flat()[0], now())
    throw new ProviderError(
      { kind: 'status', status: statusCode, code, retryAfterMs },
      message ?? `${name} answered ${statusCode}`
    )
  }

  /** Images that are drawn while one looks now and then. */
  function draw(
    { provider, model, name }: Route,
    body: Json,
    key: string,
    signal: AbortSignal
  ): Promise<Json> {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(IMAGE_MS)])
    return drawByFal(
      async (method, { origin, pathname, search }, asked, signal) => {
        const answer = await agent.request({
          origin,
          path: `${pathname}${search}`,
          method: method as Dispatcher.HttpMethod,
          headersTimeout: firstByteMs,
          signal,
          headers: {
            'content-type': 'application/json',
            ...(key === '' ? {} : { authorization: `Key ${key}` })
          },
          body: asked && JSON.stringify(asked)
        })
        await expectSuccess(answer, name, key)
        return readJson(await readAll(answer.body, MAX_BYTES, answer.headers['content-length']), name)
      },
      { url: provider.url!, model: model.upstream ?? model.id, body, name, lookMs },
      inTime
    )
  }

  return {
    /**
     * One try. What fails before the first piece of an answer is a failed try.
     *
     * @throws {ProviderError}
     * @throws the reason of the signal
     */
    async send(route, path, body, signal) {
      const { secret } = route.provider
      let key = ''
      try {
        checkWayOut()
        if (secret != null) key = await keys.read(secret)
        return await ask(route, path, body, key, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof UnknownNameError)
          throw new ProviderError({ kind: 'status', status: 401, code: 'no_secret' }, error.message)
        if (error instanceof ProviderError) throw error
        const { code: said, name, message } = error as Error & { code?: unknown }
        // a DOMException has a number
        const code = typeof said === 'string' ? said : ''
        const kind = code.endsWith('_TIMEOUT') || name === 'TimeoutError' ? 'overdue' : 'connect'
        throw new ProviderError(
          { kind },
          `${route.name} cannot be reached: ${withoutKey(code || message, key)}`
        )
      }
    },
    close: () => agent.destroy()
  } satisfies { send: Send; close(): Promise<void> }
}

/** The same events, of which the first has come and is no error. */
export async function begun(
  events: AsyncGenerator<string, boolean>,
  name: string,
  key: string
): Promise<AsyncGenerator<string, boolean>> {
  const first = await events.next()
  if (first.done === true) throw new StreamError(`${name} ended the answer before it began`)
  const { message, code } = readError(first.value, key)
  if (message != null) {
    await events.return(false)
    throw new ProviderError({ kind: 'status', status: 502, code }, message)
  }
  return (async function* () {
    yield first.value
    return yield* events
  })()
}

export async function* upTo(maxBytes: number, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new StreamError(`an answer of more than ${maxBytes} bytes`)
    yield chunk
  }
}

/** @param length as the provider says it, which the parser of HTTP holds it to */
async function readAll(
  body: AsyncIterable<Uint8Array> & { text(): Promise<string> },
  maxBytes: number,
  length?: unknown
): Promise<string> {
  // what is short is read at once, which costs a third
  if (Number(length) <= maxBytes) return body.text()
  return Buffer.concat(await Array.fromAsync(upTo(maxBytes, body))).toString('utf8')
}

export function readJson(text: string, name: string): Json {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // told below
  }
  if (typeof value !== 'object' || value === null)
    throw new StreamError(`the answer of ${name} is no JSON object`)
  return value as Json
}

/** OpenAI's `{ error: { message, code } }`, or LibreTranslate's `{ error }`; nothing where the text is neither. */
export function readError(text: string, key: string): { message?: string; code?: string } {
  let error: unknown
  try {
    error = (JSON.parse(text) as { error?: unknown } | null)?.error
  } catch {
    return {}
  }
  const { message, code } = (typeof error === 'string' ? { message: error } : (error ?? {})) as Json
  return {
    ...(typeof message === 'string' ? { message: withoutKey(message, key).slice(0, 1000) } : {}),
    ...(typeof code === 'string' ? { code: withoutKey(code, key).slice(0, 100) } : {})
  }
}

const withoutKey = (text: string, key: string): string => (key === '' ? text : text.replaceAll(key, '***'))
