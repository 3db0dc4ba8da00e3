import { decodeValue, encodeValue, nameOf, ValueError } from '../../sandbox/value.ts'
import type { Failure } from './contract.ts'
import { ArtelError } from './errors.ts'
import { eventsOf } from './server-sent.ts'

/** media type of canonical values (sandbox/value.ts), in which bigint, typed arrays and NaN survive */
const VALUE_TYPE = 'application/vnd.artel.value'
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 1000
// An answer that does not come is a dead connection: a node says something within this time, beside what it was asked to wait.
const ANSWER_MS = 30_000
/** answers of proxies that say "not now" */
const PASSING = [429, 502, 503, 504]
/** what a node says that is going to stop; ControlError: what answered is no node */
const STOPPING = ['LedgerStoppedError', 'ControlError']

/** Where the node is and what opens it. */
export interface Place {
  url: string
  token?: string
}

export interface HttpInit {
  /** Asked before each try: after a restart a node may be somewhere else. */
  locate: () => Promise<Place>
  /** A node that answers nothing for longer than this is given up. */
  patienceMs: number
  /** aborted when the connection is closed */
  closed: AbortSignal
}

export interface CallInit {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  headers?: Record<string, string>
  query?: Record<string, string | number | undefined>
  /** sent as a canonical value */
  value?: unknown
  body?: { json: unknown } | { raw: BodyInit }
  /** the same for every try, so that the node does it once */
  key?: string
  /** ms that the node may wait before it answers */
  waitMs?: number
  /** ms after which an answer that does not come is a dead connection; default 30,000 */
  answerMs?: number
  /** The answer comes as server-sent events, with what is told before it; `answerMs` is then the longest silence. */
  onProgress?: (progress: unknown) => void
  /** false: sent once, for it could happen twice */
  again?: boolean
  signal?: AbortSignal
}

/** Requests that survive a restart of the node. */
export interface Http {
  locate(): Promise<Place>
  /** The value of a canonical or JSON answer. Throws ArtelError, or the reason of the signal. */
  call<T>(path: string, init?: CallInit): Promise<T>
  /** The body as it arrives. */
  stream(path: string, init?: CallInit): Promise<ReadableStream<Uint8Array>>
}

export function createHttp({ locate, patienceMs, closed }: HttpInit): Http {
  async function request<T>(
    path: string,
    init: CallInit,
    /** `heard`: something came, and within the longest silence more has to */
    read: (response: Response, heard: () => void) => Promise<T>
  ): Promise<T> {
    const given = init.signal == null ? closed : AbortSignal.any([closed, init.signal])
    const body = bodyOf(init)
    let end = Date.now() + patienceMs
    for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(waitMs * 2, LAST_RETRY_MS)) {
      given.throwIfAborted()
      let failure: ArtelError
      try {
        const place = await locate()
        const overdue = new AbortController()
        const late = (): void => overdue.abort(new Error('it says nothing'))
        const silenceMs = Math.max(ANSWER_MS, init.answerMs ?? 0) + (init.waitMs ?? 0)
        let timer = setTimeout(late, silenceMs)
        const heard = (): void => {
          clearTimeout(timer)
          timer = setTimeout(late, silenceMs)
          end = Date.now() + patienceMs
        }
        try {
          const response = await fetch(address(place, path, init), {
            method: init.method ?? 'GET',
            headers: headersOf(place, init, body.type),
            signal: AbortSignal.any([given, overdue.signal]),
            body: body.content,
            ...(body.content instanceof ReadableStream ? { duplex: 'half' } : {})
          })
          clearTimeout(timer)
          if (response.ok) return await read(response, heard)
          throw await problemOf(response)
        } catch (error) {
          given.throwIfAborted()
          failure = error instanceof ArtelError ? error : unreachable(place, error as Error)
          if (failure === error && !isPassing(failure)) throw error
        } finally {
          clearTimeout(timer)
        }
      } catch (error) {
        // where the node is cannot be told while it is down
        if (!(error instanceof ArtelError && error.name === 'ControlError' && error.status == null))
          throw error
        failure = error
      }
      const afterMs = Math.max(waitMs, 1000 * (failure.retryAfter ?? 0))
      if (init.again === false || Date.now() + afterMs > end) throw failure
      await delay(afterMs, given)
    }
  }

  return {
    locate,
    call: (path, init = {}) => {
      const { onProgress } = init
      return request(path, init, (response, heard) =>
        onProgress == null ? readValue(response) : readEvents(response, onProgress, heard)
      ) as never
    },
    stream: (path, init = {}) =>
      request(path, init, async ({ body }) => body ?? new Blob([]).stream()) as Promise<
        ReadableStream<Uint8Array>
      >
  }
}

function address({ url }: Place, path: string, { query = {}, waitMs }: CallInit): URL {
  const target = new URL(path.slice(1), url.endsWith('/') ? url : `${url}/`)
  for (const [key, value] of Object.entries({ ...query, wait: waitMs })) {
    if (value !== undefined) target.searchParams.set(key, String(value))
  }
  return target
}

function headersOf(
  { token }: Place,
  { key, headers, onProgress }: CallInit,
  type?: string
): Record<string, string> {
  return {
    ...headers,
    accept: `${onProgress == null ? '' : 'text/event-stream, '}${VALUE_TYPE}, application/json`,
    ...(token == null ? {} : { authorization: `Bearer ${token}` }),
    ...(type == null ? {} : { 'content-type': type }),
    ...(key == null ? {} : { 'idempotency-key': key })
  }
}

function bodyOf({ value, body }: CallInit): { type?: string; content?: BodyInit } {
  if (value !== undefined) return { type: VALUE_TYPE, content: encoded(value) }
  if (body == null) return {}
  return 'raw' in body
    ? { type: 'application/octet-stream', content: body.raw }
    : { type: 'application/json', content: JSON.stringify(body.json) }
}

/** Canonical bytes. Throws ArtelError (SpecError) for what cannot travel; `path`: where the value is in a spec. */
export function encoded(value: unknown, path: string[] = []): Uint8Array<ArrayBuffer> {
  try {
    return encodeValue(value) as Uint8Array<ArrayBuffer>
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    throw new ArtelError('SpecError', `${nameOf([...path, ...error.path]) || 'spec'}: ${error.reason}`)
  }
}

async function readValue(response: Response): Promise<unknown> {
  if (response.status === 204) return undefined
  return response.headers.get('content-type')?.startsWith(VALUE_TYPE)
    ? decodeValue(new Uint8Array(await response.arrayBuffer()))
    : response.json()
}

/** What an operation tells while it works, and then its answer. Throws ArtelError, or Error for a stream that breaks off. */
async function readEvents(
  { body }: Response,
  onProgress: (progress: unknown) => void,
  heard: () => void
): Promise<unknown> {
  heard()
  for await (const { event, data } of eventsOf(body!, heard)) {
    if (event === 'progress') onProgress(valueIn(data))
    else if (event === 'result') return valueIn(data)
    else if (event === 'error') throw ofProblem(data)
  }
  throw new Error('the answer broke off')
}

const valueIn = (data: string): unknown =>
  decodeValue(Uint8Array.from(atob(data), character => character.charCodeAt(0)))

async function problemOf(response: Response): Promise<ArtelError> {
  const text = await response.text()
  try {
    return ofProblem(text, response.headers.get('retry-after'))
  } catch {
    // a proxy in between, or something that is no node
    return new ArtelError(
      'ControlError',
      `${response.url} answers ${response.status}: ${text.slice(0, 200)}`,
      {
        status: response.status,
        retryAfter: Number(response.headers.get('retry-after') ?? Number.NaN) || undefined
      }
    )
  }
}

/** @throws {SyntaxError} it is none */
function ofProblem(text: string, after?: string | null): ArtelError {
  const { title, detail, status, failure, retryAfter } = JSON.parse(text) as {
    title: string
    detail: string
    status: number
    failure?: Failure
    retryAfter?: number
  }
  return new ArtelError(String(title), String(detail), {
    status: Number(status),
    failure,
    retryAfter: retryAfter ?? (after == null ? undefined : Number(after))
  })
}

/** A node says when to come again; whatever else it says is final. */
const isPassing = ({ name, status, retryAfter }: ArtelError): boolean =>
  PASSING.includes(status ?? 0) && (retryAfter != null || STOPPING.includes(name))

function unreachable({ url }: Place, cause: Error): ArtelError {
  const reason = (cause.cause as Error | undefined)?.message ?? cause.message
  return new ArtelError(
    'ControlError',
    `no node answers at ${url} (${reason}); start one with: artel start`,
    {
      cause
    }
  )
}

/** Waits; throws the reason of the signal. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
