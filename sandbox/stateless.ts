import type { AnyNode, Expression } from 'acorn'
import { full } from 'acorn-walk'

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
export function isStateless(task: Expression): boolean {
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
