import { type AnyNode, type ChildNode, type Element, hasChildren, isCDATA, isTag, isText } from 'domhandler'
import { evaluateXPath, type IDomFacade } from 'fontoxpath'

/** An attribute as a node of its own, which the tree of htmlparser2 does not have. */
export interface Attribute {
  nodeType: 2
  value: string
}

const ATTRIBUTE = 2
const attributes = new WeakMap<Element, Map<string, Attribute>>()

/**
 * What an expression (XPath 3.1) finds from a node on: nodes, attributes, strings, numbers.
 *
 * @throws {Error} an expression that is none
 */
export function evaluate(expression: string, from: AnyNode): unknown[] {
  return evaluateXPath(
    expression,
    from,
    facade as unknown as IDomFacade,
    null,
    evaluateXPath.ALL_RESULTS_TYPE,
    {
      namespaceResolver: () => null
    }
  ) as unknown[]
}

export const isAttribute = (value: object): value is Attribute =>
  (value as { nodeType?: number }).nodeType === ATTRIBUTE

/** The tree of htmlparser2 as the library wants to see it. */
const facade = {
  getAllAttributes: (node: Element) => Object.keys(node.attribs).map(name => attribute(node, name)),
  getAttribute: (node: Element, name: string) => node.attribs[name] ?? null,
  getChildNodes: children,
  getData: (node: { data?: string; value?: string }) => node.value ?? node.data ?? '',
  getFirstChild: (node: AnyNode) => children(node)[0] ?? null,
  getLastChild: (node: AnyNode) => children(node).at(-1) ?? null,
  getNextSibling: (node: ChildNode) => beside(node, 'next'),
  getParentNode: (node: AnyNode & { ownerElement?: Element }) => node.ownerElement ?? node.parent,
  getPreviousSibling: (node: ChildNode) => beside(node, 'prev')
}

/** Without comments, doctypes and instructions, which no rule asks for. */
function children(node: AnyNode): AnyNode[] {
  if (!hasChildren(node)) return []
  return node.children
    .flatMap(child => (isCDATA(child) ? child.children : [child]))
    .filter(isSeen)
    .map(named)
}

const isSeen = (node: AnyNode): boolean => isTag(node) || isText(node)

function beside(node: ChildNode, side: 'next' | 'prev'): AnyNode | null {
  let other = node[side]
  while (other != null && !isSeen(other)) other = other[side]
  return other == null ? null : named(other)
}

/** Names as a DOM has them. */
function named(node: AnyNode): AnyNode {
  if (isTag(node)) Object.assign(node, { localName: node.name, namespaceURI: null, prefix: '' })
  return node
}

/** The same object each time: nodes are told apart by being others. */
function attribute(element: Element, name: string): Attribute {
  const all = attributes.get(element) ?? new Map<string, Attribute>()
  attributes.set(element, all)
  const known = all.get(name)
  if (known != null) return known
  const made = {
    nodeType: ATTRIBUTE as 2,
    nodeName: name,
    name,
    localName: name,
    namespaceURI: null,
    prefix: '',
    value: element.attribs[name]!,
    ownerElement: element
  }
  all.set(name, made)
  return made
}
