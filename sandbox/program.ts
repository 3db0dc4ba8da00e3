import { type AnyNode, getLineInfo, parse, type Token, type Program as Tree } from 'acorn'
import { full } from 'acorn-walk'
import type { SourceText } from './child-main.ts'
import type { Program } from './contract.ts'
import { ProgramError } from './errors.ts'
import { type Guard, guardOf, together, touchedNames } from './stateless.ts'

/** A program as scripts for the isolate. Each of the author's evaluates to `(pow, powAssign, onItem) => value`. */
export interface Scripts {
  task?: SourceText
  driver?: SourceText
  functions: Record<string, SourceText>
  eager: boolean
  guard: Guard
  /** as touchedNames */
  touched: string[] | undefined
}

/** Parsing takes place in the node: up to a second for so many characters of the worst text. */
const SOURCE_CHARS = 1_000_000

interface Edit {
  from: number
  to: number
  text: string
}

/**
 * Checks the author's text and makes scripts of it. Throws ProgramError with the author's line and column.
 *
 * `a ** b` becomes a call of our pow, because engines differ in the last bit; bigints keep their own. A module becomes
 * a function body: its imports are refused, its exports lose the word, its default export is the answer.
 * All edits stay on their line, so line numbers are the author's.
 */
export function compileProgram(program: Program): Scripts {
  try {
    return scriptsOf(program)
  } catch (error) {
    // the stack of the parser or of a walk over its tree
    if (error instanceof RangeError) throw new ProgramError('nested too deeply')
    throw error
  }
}

/**
 * True if the program gives the same bytes for an item whoever calculates it: it cannot catch what depends on the machine
 * (a stack that overflows, memory that is not given), and keeps nothing, which a module could where one input is many
 * items. Only then may an answer that differs be held against a worker. False for a program that cannot be loaded.
 */
export function isProvenStateless(program: Program): boolean {
  // Python can catch that memory ran out, and recursion; the bits of a NaN within a model are the processor's
  if (isRuntime(program.kind)) return false
  const texts = [program.source, ...Object.values(program.functions ?? {}).map(({ source }) => source)]
  const catches = texts.some(text => typeof text === 'string' && /catch|finally/.test(text))
  try {
    return !catches && (compileProgram(program).guard !== 'apart' || program.driver === undefined)
  } catch (error) {
    if (error instanceof ProgramError) return false
    throw error
  }
}

/** true for programs that another runtime than JavaScript's runs, in children of its own */
export const isRuntime = (kind: Program['kind']): kind is RuntimeKind => kind === 'python' || kind === 'onnx'
export type RuntimeKind = 'python' | 'onnx'

function scriptsOf(program: Program): Scripts {
  const binary = ['wasm', 'wasi', 'onnx'].includes(program.kind)
  if (binary === (typeof program.source === 'string')) {
    throw new ProgramError(`a program of kind ${program.kind} is ${binary ? 'bytes' : 'source text'}`)
  }
  if (isRuntime(program.kind)) {
    if (!binary) checkLength(program.source as string, 'task')
    return { functions: {}, eager: false, guard: 'nothing', touched: [] } // its child says what is wrong with it
  }
  const parts = Object.entries(program.functions ?? {}).map(([name, { kind, source }]) => {
    return [name, script(kind, source, name)] as const
  })
  const task = binary ? undefined : script(program.kind, program.source as string, 'task')
  const texts = [...(task ? [task] : []), ...parts.map(([, part]) => part)]
  const touched = texts.map(text => text.touched)
  return {
    task: task?.text,
    driver:
      program.driver === undefined
        ? undefined
        : { name: 'artel:driver', text: `"use strict";(\n${program.driver}\n)` },
    functions: Object.fromEntries(parts.map(([name, part]) => [name, part.text])),
    // a driver comes from the requester too, and its body may loop: not while nobody looks at the clock
    eager: program.driver === undefined && (program.kind === 'function' || program.kind === 'expression'),
    // a module of WebAssembly has an instance for each item (wasi.ts)
    guard: together(texts.map(text => text.guard)),
    touched: touched.includes(undefined) ? undefined : touched.flatMap(names => names ?? [])
  }
}

function script(kind: Program['kind'], source: string, name: string) {
  if (kind === 'module') return moduleScript(source, name)
  const parsed = parseAuthor(source, name, 'script')
  const { body } = parsed.tree
  const statement = body[0]
  if (body.length !== 1 || statement?.type !== 'ExpressionStatement') {
    throw new ProgramError('more than one expression', name, ...positionOf(body[1] ?? parsed.tree, parsed))
  }
  const { expression } = statement
  if (kind === 'function' && !/^(Arrow)?FunctionExpression$/.test(expression.type)) {
    const what = 'not a function: write `(x) => …`, `function (x) { … }` or `async …`'
    throw new ProgramError(what, name, ...positionOf(expression, parsed))
  }
  const [pow, assign, , onItem] = freeNames(parsed)
  const text = applyEdits(source, powers(parsed, pow, assign))
  const head = kind === 'expression' ? '(x,index)=>(' : '('
  // a scope of the item's own, for texts that name it
  const scope = source.includes('globalThis')
    ? `let globalThis;${onItem}(${onItem}=>{globalThis=${onItem}});`
    : ''
  return {
    guard: guardOf(expression, source),
    touched: touchedNames(expression),
    text: { name, text: `"use strict";(${pow},${assign},${onItem})=>{${scope}return ${head}\n${text}\n)}` }
  }
}

function moduleScript(source: string, name: string) {
  const parsed = parseAuthor(source, name, 'module')
  const { tree } = parsed
  const [pow, assign, result] = freeNames(parsed)
  const edits = powers(parsed, pow, assign)
  let answer: string | undefined
  const refuse = (what: string, node: AnyNode): never => {
    throw new ProgramError(what, name, ...positionOf(node, parsed))
  }
  for (const node of tree.body) {
    if (node.type === 'ImportDeclaration')
      refuse('imports are not available in the sandbox, put everything into one file', node)
    if (node.type === 'ExportAllDeclaration')
      refuse('a module in the sandbox cannot export from another', node)
    if (node.type === 'ExportNamedDeclaration') {
      if (node.source) refuse('a module in the sandbox cannot export from another', node)
      if (node.declaration) edits.push({ from: node.start, to: node.declaration.start, text: '' })
      else edits.push({ from: node.start, to: node.end, text: '' })
      for (const one of node.specifiers) {
        if (
          one.exported.type === 'Identifier' &&
          one.exported.name === 'default' &&
          one.local.type === 'Identifier'
        ) {
          answer = one.local.name
        }
      }
    }
    if (node.type === 'ExportDefaultDeclaration') {
      const { declaration } = node
      const named = /Declaration$/.test(declaration.type) && 'id' in declaration && declaration.id
      answer = named ? named.name : result
      edits.push({ from: node.start, to: declaration.start, text: named ? '' : `const ${result} = ` })
      // a declaration may end without a semicolon, and the next line could then go on with it
      if (!named) edits.push({ from: node.end, to: node.end, text: ';' })
    }
  }
  if (answer === undefined) throw new ProgramError('the module has no default export', name)
  full(tree, node => {
    if (node.type === 'ImportExpression') refuse('import() is not available in the sandbox', node)
    if (node.type === 'MetaProperty' && node.meta.name === 'import')
      refuse('import.meta is not available in the sandbox', node)
  })
  const text = `"use strict";(${pow},${assign})=>{\n${applyEdits(source, edits)}\nreturn ${answer}\n}`
  try {
    parse(text, { ecmaVersion: 'latest', sourceType: 'script' })
  } catch {
    throw new ProgramError('await at the top level of a module is not available in the sandbox', name)
  }
  return { guard: 'apart' as const, touched: undefined, text: { name, text } }
}

interface Parsed {
  tree: Tree
  /** only where a `**` or a free name may have to be found: they take most of the time */
  tokens: Token[]
  name: string
  text: string
  /** characters of ours before the author's text; when there are any, they are one line */
  before: number
}

function checkLength(source: string, name: string) {
  if (source.length > SOURCE_CHARS)
    throw new ProgramError(`${source.length} characters, at most ${SOURCE_CHARS}`, name)
}

function parseAuthor(source: string, name: string, sourceType: 'script' | 'module'): Parsed {
  checkLength(source, name)
  const before = sourceType === 'script' ? 2 : 0
  const tokens: Token[] = []
  const text = before > 0 ? `(\n${source}\n)` : source
  try {
    const onToken = sourceType === 'module' || /\*\*|globalThis/.test(source) ? tokens : undefined
    return { tree: parse(text, { ecmaVersion: 'latest', sourceType, onToken }), tokens, name, text, before }
  } catch (error) {
    const { message, loc } = error as SyntaxError & { loc?: { line: number; column: number } }
    const line = loc && loc.line - (before > 0 ? 1 : 0)
    throw new ProgramError(message.replace(/ \(\d+:\d+\)$/, ''), name, line, loc && loc.column + 1)
  }
}

/** Line and column (from 1) in the author's text. */
function positionOf(node: AnyNode, { text, before }: Parsed): [number, number] {
  const { line, column } = getLineInfo(text, node.start)
  return [line - (before > 0 ? 1 : 0), column + 1]
}

/** Names that the text does not use. */
function freeNames({ tokens }: Parsed): [string, string, string, string] {
  const used = new Set(tokens.map(contentOf))
  const free = (name: string) => {
    let n = 0
    while (used.has(`$${name}${n}`)) n++
    return `$${name}${n}`
  }
  return [free('pow'), free('assign'), free('default'), free('item')]
}

/** The edits that turn `**` and `**=` into calls of the two names. */
function powers(parsed: Parsed, pow: string, assign: string): Edit[] {
  const { tree, tokens, name, before } = parsed
  if (tokens.length === 0) return []
  const edits: Edit[] = []
  const put = (from: number, to: number, text: string) =>
    edits.push({ from: from - before, to: to - before, text })
  // the operator itself, for parentheses and comments may stand around it
  const token = (from: number, text: string) => {
    let at = firstAt(tokens, from)
    while ((contentOf(tokens[at]!) ?? tokens[at]!.type.label) !== text) at++
    return [tokens[at]!.start, tokens[at]!.end] as const
  }
  full(tree, anyNode => {
    const node = anyNode as AnyNode
    if (node.type === 'BinaryExpression' && node.operator === '**') {
      put(node.start, node.start, `${pow}(`)
      put(...token(node.left.end, '**'), ',')
      put(node.end, node.end, ')')
    }
    if (node.type !== 'AssignmentExpression' || node.operator !== '**=') return
    const { left } = node
    const operator = token(left.end, '**=')
    put(node.end, node.end, ')')
    if (left.type === 'Identifier') {
      put(...operator, `= ${pow}(${left.name},`)
      return
    }
    if (
      left.type !== 'MemberExpression' ||
      left.object.type === 'Super' ||
      left.property.type === 'PrivateIdentifier'
    ) {
      throw new ProgramError(
        '`**=` on such a property: write `x = x ** y`',
        name,
        ...positionOf(node, parsed)
      )
    }
    const { object, property } = left
    put(node.start, node.start, `${assign}(`)
    if (left.computed) {
      put(...token(object.end, '['), ',')
      put(...token(property.end, ']'), ')(')
    } else {
      const [dot] = token(object.end, '.')
      put(dot, property.end, `,"${(property as { name: string }).name}")(`)
    }
    put(...operator, '')
  })
  return edits
}

/** acorn's types leave it out */
function contentOf(token: Token): unknown {
  return (token as { value?: unknown }).value
}

/** Index of the first token that starts at `from` or later. */
function firstAt(tokens: Token[], from: number): number {
  let low = 0
  let high = tokens.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (tokens[middle]!.start < from) low = middle + 1
    else high = middle
  }
  return low
}

function applyEdits(source: string, edits: Edit[]): string {
  let at = 0
  const pieces: string[] = []
  for (const { from, to, text } of edits.sort((a, b) => a.from - b.from)) {
    pieces.push(source.slice(at, from), text)
    at = to
  }
  return pieces.join('') + source.slice(at)
}
