import { type Expression, type Node, type Program, type Property, parse, type SpreadElement } from 'acorn'

/*
 * Reads a spec that was written as JavaScript without running it: literals, arrays, objects, functions as their source,
 * and constants above it. So the page needs no right to evaluate text, and JSON is read as well.
 */

/** Space and comments. */
const LEADING = /^(?:\s|\/\/[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/

/** What stands wrong, and where in the text. */
export class SpecTextError extends Error {
  override name = 'SpecTextError'
  readonly from: number
  readonly to: number

  constructor(message: string, from: number, to: number) {
    super(message)
    this.from = from
    this.to = to
  }
}

type Value = null | boolean | number | string | Value[] | { [key: string]: Value }
type Scope = Map<string, () => Value>

/** `export default { … }` or only `{ … }`, with `const` and `function` before it. Throws SpecTextError. */
export function readSpec(text: string): Value {
  const start = LEADING.exec(text)![0].length
  if (start === text.length) throw new SpecTextError('the editor is empty; choose an example', 0, 0)
  const isBare = text[start] === '{' || text[start] === '['
  // a bare object would be a block of statements
  const source = isBare ? `${text.slice(0, start)}(${text.slice(start).replace(/;?\s*$/, '')}\n)` : text
  const shift = isBare ? 1 : 0
  let program: Program
  try {
    program = parse(source, { ecmaVersion: 'latest', sourceType: 'module' })
  } catch (err) {
    const { message, pos } = err as SyntaxError & { pos: number }
    const at = Math.min(Math.max(0, pos - shift), text.length)
    throw new SpecTextError(message.replace(/ \(\d+:\d+\)$/, ''), at, Math.min(at + 1, text.length))
  }
  return new Reader(source, shift).program(program)
}

class Reader {
  readonly #source: string
  readonly #shift: number
  readonly #scope: Scope = new Map()

  constructor(source: string, shift: number) {
    this.#source = source
    this.#shift = shift
  }

  program({ body }: Program): Value {
    let found: Expression | undefined
    for (const statement of body) {
      if (statement.type === 'ExportDefaultDeclaration' && isExpression(statement.declaration))
        found = statement.declaration
      else if (statement.type === 'ExpressionStatement') found = statement.expression
      else if (statement.type === 'FunctionDeclaration')
        this.#scope.set(statement.id.name, () => this.#text(statement))
      else if (statement.type === 'VariableDeclaration') {
        for (const { id, init } of statement.declarations) {
          if (id.type !== 'Identifier' || init == null)
            throw this.#error(id, 'only plain constants: const name = value')
          this.#scope.set(id.name, () => this.value(init))
        }
      } else
        throw this.#error(statement, 'only constants, functions and one object: the text is read, not run')
    }
    if (found == null) throw new SpecTextError('no task here; end with an object { type: … }', 0, 0)
    return this.value(found)
  }

  value(node: Expression | SpreadElement): Value {
    switch (node.type) {
      case 'Literal': {
        if (node.bigint != null) return this.#big(node, BigInt(node.bigint))
        if (node.regex != null) break
        return node.value as Value
      }
      case 'TemplateLiteral':
        if (node.expressions.length > 0) break
        return node.quasis[0]!.value.cooked ?? ''
      case 'ArrayExpression':
        return node.elements.map(each => {
          if (each == null || each.type === 'SpreadElement')
            throw this.#error(each ?? node, 'lists without gaps and spreads')
          return this.value(each)
        })
      case 'ObjectExpression':
        return this.#object(node.properties)
      case 'ArrowFunctionExpression':
      case 'FunctionExpression':
        return this.#text(node)
      case 'ParenthesizedExpression':
        return this.value(node.expression)
      case 'UnaryExpression': {
        const value = this.value(node.argument)
        if (node.operator === '-' && typeof value === 'number') return -value
        break
      }
      case 'BinaryExpression': {
        if (node.left.type === 'PrivateIdentifier') break
        const result = calculate(this.value(node.left), node.operator, this.value(node.right))
        if (result != null) return result
        break
      }
      case 'Identifier': {
        const known = this.#scope.get(node.name)
        if (known != null) return known()
        throw this.#error(node, `${node.name} is not known here; write its value`)
      }
    }
    throw this.#error(node, 'the text is read, not run: write a value, or let the job calculate it')
  }

  #object(properties: (Property | SpreadElement)[]): Value {
    const entries = properties.map((property): [string, Value] => {
      if (property.type === 'SpreadElement' || property.computed || property.kind !== 'init')
        throw this.#error(property, 'objects with plain names only')
      const { key, value, method } = property
      const name = key.type === 'Identifier' ? key.name : String((key as { value?: unknown }).value)
      if (!method) return [name, this.value(value)]
      const { async, generator } = value as unknown as { async: boolean; generator: boolean }
      if (generator) throw this.#error(property, 'a generator cannot be sent')
      const from = this.#source.slice(value.start, value.end)
      return [name, `${async ? 'async ' : ''}function ${name}${from}`]
    })
    // a field named __proto__ stays a field
    return Object.fromEntries(entries)
  }

  #big(node: Node, value: bigint): number {
    const number = Number(value)
    if (Number.isSafeInteger(number)) return number
    throw this.#error(node, 'larger than 2^53; calculate it in the job')
  }

  #text({ start, end }: Node): string {
    return this.#source.slice(start, end)
  }

  #error({ start, end }: Node, message: string): SpecTextError {
    return new SpecTextError(message, start - this.#shift, end - this.#shift)
  }
}

function calculate(a: Value, operator: string, b: Value): Value | undefined {
  if (typeof a === 'string' && typeof b === 'string' && operator === '+') return a + b
  if (typeof a !== 'number' || typeof b !== 'number') return undefined
  switch (operator) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '**':
      return a ** b
    default:
      return undefined
  }
}

const isExpression = (node: { type: string }): node is Expression =>
  node.type !== 'FunctionDeclaration' && node.type !== 'ClassDeclaration'
