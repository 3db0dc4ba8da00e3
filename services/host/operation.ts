import { z } from 'zod'
import type { Caller, PeerAccess, Scope } from './access.ts'
import { whenAsked } from './when-asked.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/**
 * What can be done with a service, said once. HTTP route and OpenAPI document, control socket, command line, method and
 * types of the SDK, scopes, and the call between peers follow from it. Pure: a browser can load it.
 *
 * `input` and `output` are what a handler takes and gives; on the wire they are JSON: what is a bigint or bytes here
 * travels as text by a codec of the schema (`micro`, `base64`).
 */
export interface Operation<
  I extends z.ZodObject = z.ZodObject,
  O extends z.ZodType = z.ZodType,
  E extends z.ZodType = z.ZodType
> {
  /** one line, for help, documentation and types */
  summary: string
  description?: string
  input: I
  output: O
  /** what is told while it works, any number of times */
  progress?: E
  http: HttpPlace
  /** what a token or account must be allowed; undefined: open to everybody who reaches the HTTP API */
  scope?: Scope
  /** which other nodes may call it; default: nobody */
  peers?: PeerAccess
  /** Done twice is as good as done once, so a client may try again. Default: what GET, PUT and DELETE promise. */
  isIdempotent?: boolean
  /** after this its signal is aborted and the caller has its answer; default: 30 s */
  deadlineMs?: number
  /** how it looks on the command line; false: not there */
  command?: CommandPlace<z.output<I>, z.output<O>> | false
}

export interface HttpPlace {
  method: Method
  /** below /api/v1; what begins with a colon is a field of the input: /files/:cid */
  path: `/${string}`
  /** The path is not below /api/v1: for those whom Prometheus and the like ask. */
  isAtRoot?: boolean
  /** of a success; default: 200 */
  status?: number
  /** most bytes of the body; default: 64 KiB */
  bodyBytes?: number
  /** bytes: the body is a stream, `call.body`; the other fields come from path, query and headers */
  body?: 'json' | 'bytes'
  /** fields that come from headers: { range: 'range' } */
  headers?: Record<string, string>
  /** fields that come from the query though there is a body */
  query?: readonly string[]
  /** the field that is the whole body; the others come from path, query and headers */
  bodyField?: string
  /** media type of an output that is a text and is not JSON */
  textType?: string
  /** further statuses that `answer` can give; the output is of the same schema */
  statuses?: readonly number[]
  /** What an error is as JSON, for clients of another API than ours; default: a problem of RFC 9457. */
  errorBody?(error: { title: string; status: number; detail: string }): unknown
  /** What depends on the output: another status, further headers. */
  answer?(output: never): { status?: number; headers?: Record<string, string> }
}

export interface CommandPlace<I = never, O = never> {
  /** words after `artel`; default: the service and the operation, as in `files list` */
  name?: string
  /** fields without a flag, in this order; the last may be a list */
  arguments?: readonly string[]
  /** what follows `artel `, as a user types it */
  examples?: readonly string[]
  /** the answer for people; default: a table of what it holds */
  show?(output: O): string
  /** does it without a node, in the process of the command */
  local?(input: I): Promise<unknown>
  /** a question to answer with yes before it is done, where somebody can be asked */
  confirm?(input: I): string
  /** what the command line ends with, where an answer can be a failure; default: 0 */
  exit?(output: O): number
  /** `artel <service> shell`: a prompt that calls it line by line; its code is loaded when it is opened */
  shell?(): Promise<Shell>
  /** what the command is on a terminal, instead of one call; undefined: one call */
  onTerminal?(input: I): Promise<Shell> | undefined
}

/** Takes lines until there are no more. The exit code. Its `call` may say that it gives the operation's output. */
export type Shell = (
  terminal: Terminal,
  /** the fields that are given here, and those that the user gave as flags */
  call: (input: Record<string, unknown>, signal: AbortSignal) => Promise<never>
) => Promise<number>

/** Where a shell reads and writes. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?(isRaw: boolean): unknown }
  output: NodeJS.WritableStream & { isTTY?: boolean }
  /** for what was typed; its folder is there */
  historyFile: string
  environment: Readonly<Record<string, string | undefined>>
  /** aborted when the terminal goes */
  signal: AbortSignal
}

export type Operations = Readonly<Record<string, Operation>>

/** Operations that belong together: those of a service, or of a side of the node itself. */
export interface Group {
  name: string
  /** one line */
  summary: string
  operations: Operations
  /** the setting that switches it on; default: always there */
  setting?: string
}

/** A schema, or how it is made: then that is done when somebody asks for it, which nobody does where a service is off. */
type Made<T> = T | (() => T)
const SCHEMAS = ['input', 'output', 'progress'] as const
type Schemas = (typeof SCHEMAS)[number]

/** An operation with the types of its schemas. */
export function operation<
  const P extends { peers?: PeerAccess },
  I extends z.ZodObject,
  O extends z.ZodType,
  E extends z.ZodType = z.ZodNever
>(
  declared: Omit<Operation<I, O, E>, Schemas> & { input: Made<I>; output: Made<O>; progress?: Made<E> } & P
): Operation<I, O, E> & Omit<P, Schemas> {
  return whenAsked(declared, SCHEMAS) as never
}

/** One call of an operation. */
export interface Call<E = never> {
  readonly caller: Caller
  /** aborted at the deadline, when the caller goes, and when the service stops */
  readonly signal: AbortSignal
  /** Tells the caller how it goes; wait for it, so that a slow reader slows us down. */
  send(progress: E): Promise<void>
  /** of an operation whose HTTP body is bytes; empty of all others */
  readonly body: AsyncIterable<Uint8Array>
  /** SHA-256 of the body of an HTTP request with an idempotency key */
  readonly digest?: string
}

export type Input<T extends Operation> = z.output<T['input']>
export type Output<T extends Operation> = z.output<T['output']>
export type Progress<T extends Operation> =
  NonNullable<T['progress']> extends z.ZodType ? z.output<NonNullable<T['progress']>> : never

export type Handlers<O extends Operations> = {
  [K in keyof O]: (input: Input<O[K]>, call: Call<Progress<O[K]>>) => Promise<Output<O[K]>> | Output<O[K]>
}

/** An answer that is bytes rather than JSON; only HTTP and the SDK have it. */
export interface Bytes {
  chunks: AsyncIterable<Uint8Array>
  /** the same, where all of it is there already: it need not pass through a stream */
  whole?: Uint8Array
  size?: number
  /** media type; default: application/octet-stream */
  type?: string
  /** 206 where it is a part */
  status?: number
  headers?: Record<string, string>
}

/** The output of an operation that answers bytes. */
export const bytes = z.custom<Bytes>()

/** An answer that is the canonical value (sandbox/value.ts) of these bytes; callers get the value. */
export interface Encoded {
  canonical: Uint8Array
}

/** The output of an operation whose value is there as bytes, which are passed on as they are. */
export const encoded = z.custom<Encoded>()

/** Micro-credits: bigint here, a decimal string on the wire. */
export const micro = z
  .codec(z.string().regex(/^-?\d{1,40}$/), z.bigint(), {
    decode: text => BigInt(text),
    encode: value => value.toString()
  })
  .describe('micro-credits, 1 credit = 1000000')

/** Bytes here, base64 on the wire. */
export const base64 = z.codec(
  z.base64(),
  z.custom<Uint8Array>(value => value instanceof Uint8Array),
  {
    decode: text => Uint8Array.from(atob(text), character => character.charCodeAt(0)),
    encode: value => {
      let text = ''
      for (const byte of value) text += String.fromCharCode(byte)
      return btoa(text)
    }
  }
)

export const DEFAULT_DEADLINE_MS = 30_000

/** Whether a client may send it again without being asked. */
export function isRepeatable({ isIdempotent, http }: Pick<Operation, 'isIdempotent' | 'http'>): boolean {
  return isIdempotent ?? ['GET', 'PUT', 'DELETE'].includes(http.method)
}

/** What a client must know to call an operation over HTTP. */
export interface Place {
  service: string
  operation: string
  method: Method
  /** /api/v1/files/:cid */
  path: string
  body: 'none' | 'json' | 'bytes'
  /** the field that is the whole body */
  bodyField?: string
  headers: Record<string, string>
  isRepeatable: boolean
  /** it tells how it goes, as server-sent events */
  hasProgress: boolean
  /** of the whole; where there is progress, of the silence */
  deadlineMs: number
}

export function placeOf(service: string, name: string, operation: Operation): Place {
  const { http, deadlineMs = DEFAULT_DEADLINE_MS } = operation
  const hasBody = http.method !== 'GET' && http.method !== 'DELETE'
  return {
    service,
    operation: name,
    method: http.method,
    path: http.isAtRoot === true ? http.path : `/api/v1${http.path}`,
    body: http.body === 'bytes' ? 'bytes' : hasBody ? 'json' : 'none',
    ...(http.bodyField == null ? {} : { bodyField: http.bodyField }),
    headers: http.headers ?? {},
    isRepeatable: isRepeatable(operation),
    hasProgress: operation.progress != null,
    deadlineMs
  }
}
