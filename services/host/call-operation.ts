import type { z } from 'zod'
import { type Caller, type PeerLists, refusal } from './access.ts'
import { createDeadline } from './deadline.ts'
import { ForbiddenError, RequestError } from './errors.ts'
import { type Call, DEFAULT_DEADLINE_MS, type Operation } from './operation.ts'

/** How a call came in. */
export interface CallInit {
  caller: Caller
  /** ends when the caller goes */
  signal?: AbortSignal
  /** takes what the operation tells while it works */
  send?: (progress: unknown) => void | Promise<void>
  body?: AsyncIterable<Uint8Array>
  digest?: string
}

type Handler = (input: never, call: Call) => unknown

/**
 * Access, then input, then the handler, which has its answer or its deadline.
 *
 * @throws {ForbiddenError} before the input is looked at
 * @throws {RequestError}
 * @throws {OverdueError}
 */
export async function callOperation(
  name: string,
  operation: Operation,
  handler: Handler,
  input: unknown,
  {
    caller,
    signal,
    send,
    body,
    digest,
    lists,
    stopping
  }: CallInit & { lists: PeerLists; stopping: AbortSignal }
): Promise<unknown> {
  const why = refusal(operation, caller, lists)
  if (why != null) throw new ForbiddenError(`${name}: ${why}`)
  const parsed = parseInput(operation.input, input)
  using deadline = createDeadline(name, operation.deadlineMs ?? DEFAULT_DEADLINE_MS, [signal, stopping])
  deadline.signal.throwIfAborted()
  const call: Call<unknown> = {
    caller,
    signal: deadline.signal,
    body: body ?? nothing(),
    ...(digest == null ? {} : { digest }),
    async send(progress) {
      deadline.signal.throwIfAborted()
      if (operation.progress != null) deadline.putOff()
      await send?.(progress)
    }
  }
  const answer = (async () => handler(parsed as never, call as never))()
  // awaited here, or the deadline would end with this function
  return await deadline.within(answer)
}

/** @throws {RequestError} names the field and the value */
function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const parsed = schema.safeParse(input ?? {}, { reportInput: true })
  if (parsed.success) return parsed.data
  const { path, message, input: given } = parsed.error.issues[0]!
  const shown = given === undefined ? '' : `, got ${short(given)}`
  throw new RequestError(`${path.length === 0 ? 'the input' : path.join('.')}: ${message}${shown}`)
}

function short(value: unknown): string {
  try {
    const text = JSON.stringify(value) ?? String(value)
    return text.length > 100 ? `${text.slice(0, 100)}…` : text
  } catch {
    // a cycle or a bigint; its kind says enough
    return typeof value
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
