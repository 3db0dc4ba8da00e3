import { questionOf } from './cache-key.ts'

type Json = Readonly<Record<string, unknown>>

/** A question to which the answer of another one may do. */
export interface Alike {
  /** what must be equal, as one text: system prompt, parameters, and the words that say something, in their order */
  same: string
  /** what must be near */
  text: string
}

/** Words that make no question another one. Negations, prepositions, tenses and numbers do. */
const SAYS_NOTHING = new Set('a an the please is are пожалуйста ли же это'.split(' '))
const SPEAKS_BEFORE = new Set(['system', 'developer'])

/**
 * undefined: there is more than one turn, more than text, or nothing said. Pure.
 *
 * @throws {AssistantError} the body is nested too deeply
 */
export function alikeOf(body: Json): Alike | undefined {
  const { messages } = body
  if (!Array.isArray(messages)) return undefined
  const { content: text, ...last } = (messages.at(-1) ?? {}) as Json
  const before = messages.slice(0, -1) as Json[]
  if (last.role !== 'user' || typeof text !== 'string') return undefined
  if (!before.every(message => SPEAKS_BEFORE.has(message?.role as string))) return undefined
  const words = wordsOf(text)
  if (words.length === 0) return undefined
  return { same: questionOf('alike', { ...body, messages: [...before, { ...last, words }] }), text }
}

/** What is said, without case and marks that only part it; `C` is not `C++`, and `can't` not `can`. */
const wordsOf = (text: string): string[] =>
  (
    text
      .normalize('NFKC')
      .toLowerCase()
      .replaceAll('’', "'")
      .match(/\d+(?:[.,]\d+)*|[\p{L}\p{M}\p{N}]+(?:'[\p{L}\p{M}]+)?|[^\s\p{L}\p{M}\p{N}.,;:!?"'…«»“”()]/gu) ??
    []
  ).filter(word => !SAYS_NOTHING.has(word))

/** Of two vectors of one length. Pure. */
export function cosine(a: readonly number[], b: readonly number[]): number {
  let [product, first, second] = [0, 0, 0]
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? 0
    product += x * y
    first += x * x
    second += y * y
  }
  return first === 0 || second === 0 ? 0 : product / Math.sqrt(first * second)
}
