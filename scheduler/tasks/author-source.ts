import { type AnyNode, type Expression, type Node, parse, parseExpressionAt } from 'acorn'
import { full } from 'acorn-walk'
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

// What the engine speaks; acorn's newest is V8's, of Node's next version at most.
const ECMA = { ecmaVersion: 'latest' } as const

/** Throws SpecError for keys of `context` that would be no variables, for the sandbox has these names already. */
export function refuseReserved(context: object): void {
  const name = Object.keys(context).find(key => SANDBOX_GLOBALS.has(key) || key in Object.prototype)
  if (name !== undefined)
    throw new SpecError(
      'context',
      `\`${name}\` is a name that the sandbox has already; take another for the key`
    )
}

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
  const given = kind === 'expression' ? ['x', 'index'] : []
  const hidden = given.find(name => known.includes(name))
  if (hidden != null)
    throw new SpecError(
      'context',
      `\`${hidden}\` is what an expression calls its own; take another for the key`
    )
  const allowed = [...known, ...given]
  refuseMissing(field, source, 'script', 'context', allowed)
  if (kind === 'expression' && !known.includes(source.split('.')[0]!) && isNameOfFunction(source))
    throw new SpecError(field, `is ${source} itself, not what it gives; wrap it: \`x => ${source}(x)\``)
  const read: Source = { kind, source }
  if (kept.size >= MAX_KEPT) kept.delete(kept.keys().next().value as string)
  if (text.length <= MAX_KEPT_LENGTH) kept.set(key, read)
  return read
}

function parseAuthor(field: string, text: string): { source: string; node: Node } {
  try {
    const node = parseExpressionAt(text, 0, { ...ECMA, preserveParens: true }) as Expression
    const rest = text.slice(node.end).replace(/^[\s;]+|\/\/.*$|\/\*[\s\S]*?\*\//gm, '')
    if (rest.trim() === '') return bare(text, node)
  } catch (err) {
    if (!(err instanceof SyntaxError)) throw err
  }
  const method = asFunction(text)
  if (method != null) return bare(method, parseExpressionAt(method, 0, ECMA) as Expression)
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

/** Without the parentheses around it. */
function bare(text: string, node: Expression): { source: string; node: Node } {
  return node.type === 'ParenthesizedExpression'
    ? bare(text, node.expression)
    : { source: text.slice(node.start, node.end), node }
}

/** `foo(x) { … }`, `async 'a b'(x) { … }`, `*[key](x) { … }`, as Function.prototype.toString gives methods; undefined for anything else. */
function asFunction(text: string): string | undefined {
  const before = '({ '
  try {
    const object = parseExpressionAt(`${before}${text}\n})`, 0, ECMA) as Expression
    const [method, ...others] = object.type === 'ObjectExpression' ? object.properties : []
    if (method?.type !== 'Property' || !method.method || others.length > 0) return undefined
    const { async, generator, start, end } = method.value as AnyNode & { async: boolean; generator: boolean }
    const head = `${async ? 'async ' : ''}function${generator ? '*' : ''} `
    const source = head + text.slice(start - before.length, end - before.length)
    parse(`(${source}\n)`, ECMA)
    return source
  } catch (err) {
    if (err instanceof SyntaxError) return undefined
    throw err
  }
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

/**
 * Names that the source uses and does not declare. What it asks for with `typeof` need not be there: it says itself what
 * it does without.
 */
export function freeVariables(source: string, sourceType: 'script' | 'module' = 'script'): string[] {
  const ast = parse(sourceType === 'script' ? `(${source}\n)` : source, { ...ECMA, sourceType, ranges: true })
  const scopes = analyze(ast as never, { ecmaVersion: 2024, sourceType })
  const names = new Set(scopes.globalScope?.through.map(reference => reference.identifier.name) ?? [])
  full(ast, anyNode => {
    const node = anyNode as AnyNode
    if (node.type === 'UnaryExpression' && node.operator === 'typeof' && node.argument.type === 'Identifier')
      names.delete(node.argument.name)
  })
  return [...names]
}

/** Of names that the source does not declare, those that it calls. */
function calledNames(source: string, sourceType: 'script' | 'module'): Set<string> {
  const called = new Set<string>()
  full(parse(sourceType === 'script' ? `(${source}\n)` : source, { ...ECMA, sourceType }), anyNode => {
    const node = anyNode as AnyNode
    const callee =
      node.type === 'CallExpression' || node.type === 'NewExpression'
        ? node.callee
        : node.type === 'TaggedTemplateExpression'
          ? node.tag
          : undefined
    if (callee?.type === 'Identifier') called.add(callee.name)
  })
  return called
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
  refuseMissing(field, source, 'module', 'input')
  return source
}

/** `place`: where values can be passed; a function cannot travel there. */
function refuseMissing(
  field: string,
  source: string,
  sourceType: 'script' | 'module',
  place: string,
  allowed: string[] = []
): void {
  const missing = freeVariables(source, sourceType).filter(
    name => !SANDBOX_GLOBALS.has(name) && !allowed.includes(name)
  )
  if (missing.length === 0) return
  const called = calledNames(source, sourceType)
  const functions = missing.filter(name => called.has(name))
  const values = missing.filter(name => !called.has(name))
  const it = (names: string[]): string => (names.length === 1 ? 'it' : 'them')
  const remedies = [
    ...(values.length > 0
      ? [`pass ${functions.length > 0 ? listed(values) : it(values)} in \`${place}\``]
      : []),
    ...(functions.length > 0
      ? [
          `write ${values.length > 0 ? listed(functions) : it(functions)} into the code, for functions do not travel alone`
        ]
      : [])
  ]
  throw new SpecError(
    field,
    `uses ${listed(missing)}, which ${missing.length === 1 ? 'does' : 'do'} not exist in the sandbox; ${remedies.join(', and ')}`
  )
}

const listed = (names: string[]): string => names.map(name => `\`${name}\``).join(', ')

export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object')
    return `an object with ${shorten(Object.keys(value).join(', ') || 'no keys')}`
  return typeof value === 'string' ? `"${shorten(value)}"` : `${typeof value} ${shorten(String(value))}`
}

const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 79)}…` : text)
