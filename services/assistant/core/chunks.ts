import { StreamError } from '../errors.ts'

type Json = Record<string, unknown>
export interface Choice extends Json {
  index: number
  finish_reason: string | null
}
/** An answer as a whole. */
export interface Completion extends Json {
  choices: (Choice & { message: Json })[]
  usage?: unknown
}

/** Fields of a piece that replace what came before; other texts go on where the last piece ended. */
const WHOLE: ReadonlySet<string> = new Set([
  'role',
  'id',
  'type',
  'index',
  'name',
  'object',
  'model',
  'finish_reason'
])
const MAX_PARTS = 1024

/** Makes an answer of its pieces, as OpenAI's clients do. */
export function createAssembly() {
  const head: Json = {}
  const choices = new Map<number, Choice & { message: Json }>()
  return {
    /** @throws {StreamError} it is no piece of an answer */
    add(chunk: Json): void {
      const { choices: pieces = [], ...rest } = chunk
      if (!Array.isArray(pieces)) throw new StreamError('a piece of the answer has no list of choices')
      for (const [name, value] of Object.entries(rest)) if (value != null) head[name] = value
      for (const { index = 0, delta, ...others } of pieces as (Choice & { delta?: Json })[]) {
        checkIndex(index)
        const choice = choices.get(index) ?? { index, message: {}, finish_reason: null }
        choices.set(index, choice)
        merge(choice.message, delta ?? {})
        merge(choice, others)
      }
    },
    /** every choice has ended, and there is one */
    get isComplete(): boolean {
      return choices.size > 0 && [...choices.values()].every(({ finish_reason }) => finish_reason != null)
    },
    answer(): Completion {
      const inOrder = [...choices.values()].sort((a, b) => a.index - b.index)
      return { ...head, object: 'chat.completion', choices: inOrder }
    }
  }
}

function merge(into: Json, piece: Json): void {
  for (const [name, value] of Object.entries(piece)) {
    // there it is everybody's prototype that would be written to
    if (name === '__proto__') throw new StreamError('a piece of the answer has a field "__proto__"')
    if (value == null) into[name] ??= null
    else if (typeof value === 'string' && typeof into[name] === 'string' && !WHOLE.has(name))
      into[name] = `${into[name]}${value}`
    else if (Array.isArray(value)) into[name] = mergeLists((into[name] ?? []) as unknown[], value)
    else if (isObject(value)) {
      const inner = isObject(into[name]) ? into[name] : {}
      merge(inner, value)
      into[name] = inner
    } else into[name] = value
  }
}

/** Parts with an index go on where that one ended; others come behind. */
function mergeLists(list: unknown[], pieces: unknown[]): unknown[] {
  for (const piece of pieces) {
    const { index, ...rest } = (isObject(piece) ? piece : {}) as Json
    if (index === undefined) list.push(piece)
    else {
      checkIndex(index)
      list[index] ??= {}
      merge(list[index] as Json, rest)
    }
  }
  return list
}

function checkIndex(index: unknown): asserts index is number {
  if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= MAX_PARTS)
    throw new StreamError(`a piece of the answer has the index ${JSON.stringify(index)?.slice(0, 40)}`)
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A whole answer as the pieces that a stream of it has: what is said, then that it has ended. */
export function toChunks({ choices, usage: _, ...head }: Completion): Json[] {
  const piece = (choice: Json): Json => ({ ...head, object: 'chat.completion.chunk', choices: [choice] })
  return choices.flatMap(({ index, message, finish_reason, ...rest }) => [
    piece({ ...rest, index, delta: withIndexes(message), finish_reason: null }),
    piece({ index, delta: {}, finish_reason })
  ])
}

function withIndexes({ tool_calls, ...message }: Json): Json {
  if (!Array.isArray(tool_calls)) return message
  return { ...message, tool_calls: tool_calls.map((call, index) => ({ index, ...call })) }
}

/** Whether an answer may be kept: it has ended by itself, and nothing was withheld. */
export const isKeepable = ({ choices }: Completion): boolean =>
  choices.length > 0 &&
  choices.every(({ finish_reason }) => finish_reason != null && finish_reason !== 'content_filter')
