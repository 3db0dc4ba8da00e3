import type { AnyNode, Expression } from 'acorn'
import { full } from 'acorn-walk'
import type { Program } from './contract.ts'
import { decodeValue } from './value.ts'

/**
 * What a program can keep from one item to the next:
 * - `nothing`: its text says so (isStateless)
 * - `nothing-frozen`: nothing once everything that it can reach is frozen, for no function of it outlives a call and
 *   nothing of an item goes on after its result
 * - `something`: module variables, what promises do later, the elements of typed arrays in `context`
 */
export type Keeping = 'nothing' | 'nothing-frozen' | 'something'

/** Of one function or expression. */
export function keepingOf(task: Expression, source: string): Keeping {
  if (isStateless(task)) return 'nothing'
  // escapes in names and strings would hide the word from this look
  if (/\bpromise|async|await|\\[ux]/i.test(source)) return 'something'
  return 'nothing-frozen'
}

/** Of all functions of a program together, and the values that they share. */
export function together(texts: Keeping[], context: Program['context']): Keeping {
  if (texts.every(keeps => keeps === 'nothing')) return 'nothing'
  if (texts.includes('something')) return 'something'
  return context === undefined || isFreezable(context) ? 'nothing-frozen' : 'something'
}

const CONTEXT_ITEMS = 100_000 // a larger one is not worth the look

function isFreezable(context: Uint8Array): boolean {
  try {
    return !hasView(decodeValue(context, { maxItems: CONTEXT_ITEMS }))
  } catch {
    return false // too large, or no value at all, which whoever loads it will say
  }
}

/** A typed array cannot be frozen. */
function hasView(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return ArrayBuffer.isView(value) || Object.values(value).some(hasView)
}

/** What a program without state is made of. Anything else, and every node type to come, counts as state. */
const HARMLESS = new Set([
  'ArrowFunctionExpression',
  'FunctionExpression',
  'BlockStatement',
  'ReturnStatement',
  'ExpressionStatement',
  'EmptyStatement',
  'IfStatement',
  'ForStatement',
  'WhileStatement',
  'DoWhileStatement',
  'BreakStatement',
  'ContinueStatement',
  'VariableDeclaration',
  'VariableDeclarator',
  'Identifier',
  'Literal',
  'TemplateLiteral',
  'TemplateElement',
  'BinaryExpression',
  'LogicalExpression',
  'UnaryExpression',
  'ConditionalExpression',
  'AssignmentExpression',
  'UpdateExpression',
  'MemberExpression',
  'CallExpression',
  'ArrayExpression',
  'ObjectExpression',
  'Property',
  'ParenthesizedExpression'
])

/**
 * True if the program can keep nothing from one call to the next, so that its context may serve again. (A fresh
 * context costs 0.25 ms, more than a batch of small calls.) Decided by what is absent: such a program writes nothing
 * but variables of its own and calls nothing but functions of `Math`, which keep nothing (Math.random starts anew for
 * every input). It has one function, the task itself, so no closure outlives a call either.
 */
function isStateless(task: Expression): boolean {
  const declared = new Set(['x', 'index']) // what an expression is given; a function's own are added
  const written: string[] = []
  let harmless = true
  full(task, anyNode => {
    const node = anyNode as AnyNode
    if (!HARMLESS.has(node.type)) harmless = false
    switch (node.type) {
      case 'ArrowFunctionExpression':
      case 'FunctionExpression':
        // async ones settle later, generators suspend
        if (node.async || node.generator) harmless = false
        if (node !== task) harmless = false
        for (const parameter of node.params) declared.add(nameOf(parameter))
        break
      case 'VariableDeclarator':
        declared.add(nameOf(node.id))
        break
      case 'AssignmentExpression':
        written.push(nameOf(node.left))
        break
      case 'UpdateExpression':
        written.push(nameOf(node.argument))
        break
      case 'UnaryExpression':
        if (node.operator === 'delete') harmless = false
        break
      case 'BinaryExpression':
        if (node.operator === 'instanceof' || node.operator === 'in') harmless = false
        break
      case 'Property':
        if (node.kind !== 'init' || node.method || node.computed) harmless = false
        break
      case 'CallExpression':
        if (!isMathCall(node.callee)) harmless = false
        break
    }
  })
  const own = !declared.has('Math') && !declared.has(UNNAMED)
  return harmless && own && written.every(name => declared.has(name))
}

const UNNAMED = ''

function nameOf(node: AnyNode): string {
  return node.type === 'Identifier' ? node.name : UNNAMED
}

function isMathCall(callee: AnyNode): boolean {
  return (
    callee.type === 'MemberExpression' &&
    !callee.computed &&
    callee.object.type === 'Identifier' &&
    callee.object.name === 'Math'
  )
}
