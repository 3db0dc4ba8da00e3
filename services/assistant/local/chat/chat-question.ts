import { badRequest } from '../../errors.ts'

type Json = Readonly<Record<string, unknown>>

export interface Said {
  role: string
  content: string
}

/** What is asked of a decoder. */
export interface ChatQuestion {
  messages: Said[]
  maxTokens: number
  /** 0: always the likeliest token */
  temperature: number
  /** of the likeliest tokens so many that their probabilities are this much */
  topP: number
  seed?: number
  stop: string[]
}

const MAX_MESSAGES = 256
/** of all of them: while their tokens are found the node does nothing else, and a word of n letters takes n² steps */
const MAX_CHARS = 32 * 1024
const MAX_STOPS = 4
const MAX_STOP_CHARS = 200
/** They say nothing to a decoder, or only how the answer is told. */
const ASIDE = new Set(['model', 'stream', 'stream_options', 'user', 'metadata'])
/** What asks for nothing else with these values. */
const USUAL: ReadonlyMap<string, unknown> = new Map([
  ['n', 1],
  ['presence_penalty', 0],
  ['frequency_penalty', 0]
])

/**
 * The question of an OpenAI client, as far as a decoder can answer it. Pure.
 *
 * @throws {AssistantError} a field asks for what it cannot do, by name
 */
export function chatQuestion(body: Json, mostTokens: number): ChatQuestion {
  const { messages, max_tokens, max_completion_tokens, temperature, top_p, seed, stop, ...rest } = body
  for (const [field, value] of Object.entries(rest))
    if (value != null && !ASIDE.has(field) && USUAL.get(field) !== value)
      throw badRequest(`${field.slice(0, 100)}: a local model does not know it; leave it out`)
  if (!Array.isArray(messages) || messages.length === 0 || messages.length > MAX_MESSAGES)
    throw badRequest(`messages: a list of 1 to ${MAX_MESSAGES}`)
  const texts = messages.map(said)
  const chars = texts.reduce((sum, { role, content }) => sum + role.length + content.length, 0)
  if (chars > MAX_CHARS)
    throw badRequest(
      `messages: ${chars} characters, and a local model reads ${MAX_CHARS}`,
      'context_length_exceeded'
    )
  const stops = stop == null ? [] : [stop].flat()
  const areStops = stops.every(
    each => typeof each === 'string' && each !== '' && each.length <= MAX_STOP_CHARS
  )
  if (stops.length > MAX_STOPS || !areStops)
    throw badRequest(`stop: up to ${MAX_STOPS} texts of 1 to ${MAX_STOP_CHARS} characters`)
  return {
    messages: texts,
    maxTokens: Math.min(
      mostTokens,
      countOf('max_tokens', max_tokens, mostTokens),
      countOf('max_completion_tokens', max_completion_tokens, mostTokens)
    ),
    temperature: numberOf('temperature', temperature, 1, 0, 2),
    topP: numberOf('top_p', top_p, 1, 0, 1),
    ...(seed == null
      ? {}
      : { seed: numberOf('seed', seed, 0, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) }),
    stop: stops as string[]
  }
}

function numberOf(field: string, value: unknown, usual: number, least: number, most: number): number {
  if (value == null) return usual
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw badRequest(`${field}: write a number from ${least} to ${most}`)
  return value
}

function countOf(field: string, value: unknown, usual: number): number {
  const count = numberOf(field, value, usual, 1, Number.MAX_SAFE_INTEGER)
  if (!Number.isInteger(count)) throw badRequest(`${field}: write a whole number`)
  return count
}

function said(message: unknown, index: number): Said {
  const { role, content } = (message ?? {}) as Json
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  const isText =
    Array.isArray(parts) && parts.every(part => part?.type === 'text' && typeof part.text === 'string')
  if (typeof role !== 'string' || !isText)
    throw badRequest(`messages.${index}: a role, and a text as content`)
  return { role, content: parts.map(({ text }) => text).join('') }
}
