import type { AnyNode, Expression } from 'acorn'
import { full, fullAncestor } from 'acorn-walk'

/**
 * What is done so that a program keeps nothing from one item to the next:
 * - `nothing`: its text says that it cannot (isStateless)
 * - `frozen`: everything that it can reach is frozen when it is loaded, and nothing of an item goes on after its result
 * - `drained`: the same, and what promises still have to do is done before the next item begins
 * - `apart`: a module, which has variables of its own and may change what is there: every input has a new context
 */
export type Guard = 'nothing' | 'frozen' | 'drained' | 'apart'

/** Of one function or expression. */
export function guardOf(task: Expression, source: string): Guard {
  if (isStateless(task)) return 'nothing'
  // escapes in names and strings would hide the word from this look
  return /\bpromise|async|await|\\[ux]/i.test(source) ? 'drained' : 'frozen'
}

/** Of all functions of a program together: the one that keeps least. */
export function together(guards: readonly Guard[]): Guard {
  const all: Guard[] = ['apart', 'drained', 'frozen']
  return all.find(guard => guards.includes(guard)) ?? 'nothing'
}

// What a typed array gives without giving itself.
const READERS = new Set(['length', 'byteLength', 'at', 'includes', 'indexOf', 'lastIndexOf', 'join', 'slice'])

/**
 * Names that a text does more with than read elements: a typed array of that name may be written to, here or where it is
 * handed to. undefined: any may, for the text takes hold of what holds all of them.
 */
export function touchedNames(tree: AnyNode): string[] | undefined {
  const touched = new Set<string>()
  let holdsAll = false
  fullAncestor(tree, (anyNode, _, ancestors) => {
    const node = anyNode as AnyNode
    if (node.type !== 'Identifier') return
    if (node.name === 'context' || node.name === 'globalThis') holdsAll = true
    const [around, beyond] = [ancestors.at(-2), ancestors.at(-3)] as (AnyNode | undefined)[]
    if (!isReading(node, around, beyond)) touched.add(node.name)
  })
  return holdsAll ? undefined : [...touched]
}

function isReading(node: AnyNode, around: AnyNode | undefined, beyond: AnyNode | undefined): boolean {
  switch (around?.type) {
    case 'SpreadElement':
      return true
    case 'ForOfStatement':
      return around.right === node
    case 'MemberExpression':
      if (around.object !== node) return true
      if (!around.computed) return around.property.type === 'Identifier' && READERS.has(around.property.name)
      return isValueOnly(around, beyond)
    default:
      return false
  }
}

/** An element that is neither assigned to nor called: `data[i]`, as part of something that takes its value. */
function isValueOnly(element: AnyNode, around: AnyNode | undefined): boolean {
  switch (around?.type) {
    case 'BinaryExpression':
    case 'LogicalExpression':
    case 'ConditionalExpression':
    case 'ReturnStatement':
    case 'ArrowFunctionExpression':
    case 'TemplateLiteral':
    case 'IfStatement':
    case 'ArrayExpression':
      return true
    case 'UnaryExpression':
      return around.operator !== 'delete'
    case 'AssignmentExpression':
      return around.right === element
    case 'VariableDeclarator':
      return around.init === element
    case 'MemberExpression':
      return around.computed && around.property === element
    case 'CallExpression':
    case 'NewExpression':
      return around.callee !== element
    default:
      return false
  }
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
