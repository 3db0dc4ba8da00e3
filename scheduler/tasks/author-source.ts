import { type Expression, type Node, parse, parseExpressionAt } from 'acorn'
import { analyze } from 'eslint-scope'
import { SpecError } from '../errors.ts'

/** An author's function as it travels: checked text, and how the sandbox is to take it. */
export interface Source {
  kind: 'function' | 'expression'
  source: string
}

/** 1 MiB: source that is longer is data, and belongs into `context`. */
export const MAX_SOURCE_BYTES = 1 << 20

// What a context inside the sandbox has (sandbox/realm.ts takes away what could tell one worker from another).
const SANDBOX_GLOBALS = new Set(
  `Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp Error
   AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError SuppressedError globalThis JSON Math
   ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array Float16Array Float32Array Float64Array
   Uint8ClampedArray BigUint64Array BigInt64Array DataView Map BigInt Set Iterator WeakMap WeakSet Proxy Reflect
   DisposableStack AsyncDisposableStack decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape isFinite
   isNaN console arguments eval context`.split(/\s+/)
)

const ECMA = { ecmaVersion: 2024 } as const

// Thousands of small tasks share their function: it is parsed once. Texts of more than 10 kB are not kept.
const MAX_KEPT = 1000
const MAX_KEPT_LENGTH = 10_000
const kept = new Map<string, Source>()

/**
 * Takes an author's function (a function, its source text, or an expression over `x` and `index`), checks that it
 * parses and that every free variable exists in the sandbox or among `known`, the keys of `context`.
 * Throws SpecError with line and column, or with the names of the variables that would be missing.
 */
export function readSource(field: string, value: unknown, known: readonly string[] = []): Source {
  if (typeof value !== 'string' && typeof value !== 'function')
    throw new SpecError(field, `expected a function or its source text, got ${describe(value)}`)
  const text = String(value).trim()
  if (text === '') throw new SpecError(field, 'is empty; give a function such as `x => x * x`')
  if (text.length > MAX_SOURCE_BYTES)
    throw new SpecError(
      field,
      `is ${text.length} characters long, at most ${MAX_SOURCE_BYTES} travel; pass data in \`context\``
    )
  if (/\{\s*\[native code\]\s*\}\s*$/.test(text))
    throw new SpecError(field, `is native code (${text.slice(0, 60)}); wrap it: \`x => Math.sqrt(x)\``)
  const key = `${known.join()} ${text}`
  const before = kept.get(key)
  if (before != null) return before
  const { source, node } = parseAuthor(field, text)
  const kind = isFunction(node) ? 'function' : 'expression'
  const allowed = [...known, ...(kind === 'expression' ? ['x', 'index'] : [])]
  refuseMissing(field, freeVariables(source), 'pass it in `context`', allowed)
  if (kind === 'expression' && !known.includes(source.split('.')[0]!) && isNameOfFunction(source))
    throw new SpecError(field, `is ${source} itself, not what it gives; wrap it: \`x => ${source}(x)\``)
  const read: Source = { kind, source }
  if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value as string)
  if (text.length <= MAX_KEPT_LENGTH) kept.set(key, read)
  return read
}

function parseAuthor(field: string, text: string): { source: string; node: Node } {
  // `foo(x) { … }` and `async foo(x) { … }`, as Function.prototype.toString gives methods
  for (const source of [text, asMethod(text)]) {
    if (source == null) continue
    try {
      const node = parseExpressionAt(source, 0, { ...ECMA, locations: true }) as Expression
      const rest = source.slice(node.end).replace(/^[\s;]+|\/\/.*$|\/\*[\s\S]*?\*\//gm, '')
      if (rest.trim() === '') return { source: source.slice(0, node.end), node }
    } catch (err) {
      if (!(err instanceof SyntaxError)) throw err
    }
  }
  try {
    parse(`(${text}\n)`, ECMA)
  } catch (err) {
    const { message, loc } = err as SyntaxError & { loc?: { line: number; column: number } }
    const where =
      loc == null ? '' : ` at line ${loc.line}, column ${loc.line === 1 ? loc.column : loc.column + 1}`
    throw new SpecError(
      field,
      `does not parse${where}: ${message.replace(/ \(\d+:\d+\)$/, '')}. Got: ${shorten(text)}`
    )
  }
  throw new SpecError(field, `is not one function or one expression. Got: ${shorten(text)}`)
}

function asMethod(text: string): string | undefined {
  const match = /^(async\s+)?(\*?)\s*(?!function\b)[\w$]+\s*\(/.exec(text)
  return match == null ? undefined : text.replace(/^(async\s+)?(\*?)\s*[\w$]+/, '$1function$2 ')
}

function isFunction(node: Node): boolean {
  return node.type === 'ArrowFunctionExpression' || node.type === 'FunctionExpression'
}

/** Whether it names a function that is there anyway, as `Math.sqrt` does. */
function isNameOfFunction(source: string): boolean {
  if (!/^[\w$]+(\.[\w$]+)*$/.test(source) || !SANDBOX_GLOBALS.has(source.split('.')[0]!)) return false
  const at = (value: unknown, name: string): unknown => (value as Record<string, unknown> | undefined)?.[name]
  return typeof source.split('.').reduce(at, globalThis as unknown) === 'function'
}

/** Names that the source uses and does not declare. */
export function freeVariables(source: string, sourceType: 'script' | 'module' = 'script'): string[] {
  const ast = parse(sourceType === 'script' ? `(${source}\n)` : source, { ...ECMA, sourceType, ranges: true })
  const scopes = analyze(ast as never, { ecmaVersion: 2024, sourceType })
  return [...new Set(scopes.globalScope?.through.map(reference => reference.identifier.name) ?? [])]
}

/**
 * Checks the source of a module: that it parses, has a default export, imports nothing and that its free variables
 * exist in the sandbox. Throws SpecError.
 */
export function readModule(field: string, source: string): string {
  if (source.length > MAX_SOURCE_BYTES)
    throw new SpecError(field, `is ${source.length} characters long, at most ${MAX_SOURCE_BYTES} travel`)
  let body: { type: string; specifiers?: { exported: { name?: string } }[] }[]
  try {
    body = parse(source, { ...ECMA, sourceType: 'module' }).body as never
  } catch (err) {
    throw new SpecError(field, `does not parse: ${(err as Error).message}. Got: ${shorten(source)}`)
  }
  if (body.some(({ type }) => type === 'ImportDeclaration'))
    throw new SpecError(
      field,
      'has an `import`; nothing can be imported in the sandbox, bundle it into one file'
    )
  const exported = body.some(
    ({ type, specifiers }) =>
      type === 'ExportDefaultDeclaration' ||
      specifiers?.some(specifier => specifier.exported?.name === 'default')
  )
  if (!exported)
    throw new SpecError(field, 'has no default export; write `export default async input => output`')
  refuseMissing(field, freeVariables(source, 'module'), 'pass it in `input`')
  return source
}

function refuseMissing(field: string, free: string[], remedy: string, allowed: string[] = []): void {
  const missing = free.filter(name => !SANDBOX_GLOBALS.has(name) && !allowed.includes(name))
  if (missing.length === 0) return
  const names = missing.map(name => `\`${name}\``).join(', ')
  throw new SpecError(
    field,
    `uses ${names}, which ${missing.length === 1 ? 'does' : 'do'} not exist in the sandbox; ${missing.length === 1 ? remedy : remedy.replace('it', 'them')}`
  )
}

/** true when the function is declared async */
export function isAsync(source: Source): boolean {
  return /^async\b/.test(source.source)
}

export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object')
    return `an object with ${shorten(Object.keys(value).join(', ') || 'no keys')}`
  return typeof value === 'string' ? `"${shorten(value)}"` : `${typeof value} ${shorten(String(value))}`
}

const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 79)}…` : text)

/** Functions travel and are stored as their text. */
export function asText(value: unknown): unknown {
  if (typeof value === 'function') return String(value)
  if (Array.isArray(value)) return value.map(asText)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, asText(each)]))
}
