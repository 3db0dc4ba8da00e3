import { z } from 'zod'
import { RequestError } from './errors.ts'

/** One field of an input, as a query, a flag or an argument has it: as text. */
export interface Field {
  name: string
  type: 'string' | 'number' | 'boolean' | 'list' | 'json'
  /** of the items of a list */
  items?: 'string' | 'number' | 'boolean' | 'json'
  choices?: readonly string[]
  default?: unknown
  description: string
  isRequired: boolean
  /** a path of this machine, by `meta({ isPath: true })`: the command line makes it absolute */
  isPath?: boolean
  /** by `meta({ isFile: true })`: on the command line a path, and the text of the file is the value */
  isFile?: boolean
}

interface JsonSchema {
  type?: string
  enum?: string[]
  items?: JsonSchema
  default?: unknown
  description?: string
  isPath?: boolean
  isFile?: boolean
  properties?: Record<string, JsonSchema>
  required?: string[]
}

/** A schema as it is on the wire: what a codec makes of a text is a text there. */
export function wireSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    // a choice that JSON does not have, as bigint beside its text
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type !== 'union') return
      const choices = jsonSchema.anyOf?.filter(choice => Object.keys(choice).length > 0) ?? []
      if (choices.length > 1) jsonSchema.anyOf = choices
      else if (choices.length === 1) {
        delete jsonSchema.anyOf
        Object.assign(jsonSchema, choices[0])
      }
    }
  })
  return rest
}

/** The fields of an input. */
export function fieldsOf(input: z.ZodObject): Field[] {
  const { properties = {}, required = [] } = wireSchema(input) as JsonSchema
  return Object.entries(properties).map(([name, field]) => ({
    name,
    type: field.type === 'array' ? 'list' : kindOf(field),
    ...(field.type === 'array' ? { items: kindOf(field.items ?? {}) } : {}),
    ...(field.enum == null ? {} : { choices: field.enum }),
    ...(field.default === undefined ? {} : { default: field.default }),
    description: field.description ?? '',
    ...(field.isPath === true ? { isPath: true } : {}),
    ...(field.isFile === true ? { isFile: true } : {}),
    isRequired: required.includes(name)
  }))
}

function kindOf({ type }: JsonSchema): 'string' | 'number' | 'boolean' | 'json' {
  if (type === 'integer') return 'number'
  return type === 'string' || type === 'number' || type === 'boolean' ? type : 'json'
}

/** The value of a text; one that is not of the type stays a text, and the schema says what is wrong with it. */
export function fromText({ type, items = 'json' }: Pick<Field, 'type' | 'items'>, text: string): unknown {
  if (type === 'number') return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text)
  if (type === 'boolean') return /^(true|1)$/.test(text) ? true : /^(false|0)$/.test(text) ? false : text
  if (type === 'list')
    return text === '' ? [] : text.split(',').map(item => fromText({ type: items }, item.trim()))
  if (type === 'json') return fromJson(text)
  return text
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // a plain word is itself, where the schema takes one
    return text
  }
}

/**
 * A whole value as JSON: bigint as decimal text and bytes as base64, as `micro` and `base64` have them; other typed
 * arrays as arrays. NaN and ±Infinity become null: who needs them takes the canonical value.
 */
export function toWire(value: unknown): string {
  return value === undefined ? 'null' : JSON.stringify(readable(value))
}

function readable(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, readable)
  if (Array.isArray(value)) return value.map(readable)
  const out: Record<string, unknown> = {}
  for (const [key, child] of Object.entries(value)) {
    const shown = readable(child)
    // assigned, it would become the prototype
    if (key === '__proto__') Object.defineProperty(out, key, { value: shown, enumerable: true })
    else out[key] = shown
  }
  return out
}

/** Fields from where they stand: a text is read by its type, a value is taken as it is. */
export function inputFrom(
  fields: readonly Field[],
  sources: readonly Record<string, unknown>[]
): Record<string, unknown> {
  const byName = new Map(fields.map(field => [field.name, field]))
  const input: Record<string, unknown> = {}
  for (const source of sources)
    for (const [name, value] of Object.entries(source)) {
      if (value === undefined) continue
      if (Object.hasOwn(input, name)) throw new RequestError(`${name} is given twice`)
      const field = byName.get(name)
      if (field == null || typeof value === 'string')
        input[name] = field ? fromText(field, value as string) : value
      else if (field.type === 'list' && Array.isArray(value))
        input[name] = value.map(item =>
          typeof item === 'string' ? fromText({ type: field.items! }, item) : item
        )
      else input[name] = value
    }
  return input
}
