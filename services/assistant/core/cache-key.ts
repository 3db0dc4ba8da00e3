import { createHmac } from 'node:crypto'
import { badRequest } from '../errors.ts'

/** How the answer travels and who asks; everything else may change what is answered, also fields that nobody knows yet. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set(['stream', 'stream_options', 'user', 'metadata'])
const MAX_DEPTH = 100

/**
 * The question as one text, whatever the order of its fields.
 *
 * @throws {AssistantError} the body is nested too deeply
 */
export function questionOf(endpoint: string, body: Readonly<Record<string, unknown>>): string {
  const asked = Object.fromEntries(Object.entries(body).filter(([field]) => !WITHOUT_EFFECT.has(field)))
  return canonical([endpoint, asked], 0)
}

/** HMAC of the question under the key of its namespace: without the key nobody can tell who asked what. */
export const cacheKey = (namespaceKey: Uint8Array, question: string): Buffer =>
  createHmac('sha256', namespaceKey).update(question).digest()

/** JSON with the fields of objects in one order. */
function canonical(value: unknown, depth: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (depth > MAX_DEPTH) throw badRequest(`the body is nested more than ${MAX_DEPTH} deep`)
  if (Array.isArray(value)) return `[${value.map(item => canonical(item, depth + 1)).join()}]`
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, item]) => `${JSON.stringify(name)}:${canonical(item, depth + 1)}`).join()}}`
}
