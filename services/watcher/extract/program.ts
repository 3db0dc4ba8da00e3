import { selectAll, selectOne } from 'css-select'
import { type AnyNode, Element } from 'domhandler'
import { textContent } from 'domutils'
import { parseDocument } from 'htmlparser2'
import type { Extraction, FieldSelector, Fields, Form, Question, Selector } from './contract.ts'
import { readPath } from './json-path.ts'
import { evaluate, isAttribute } from './xpath.ts'

/*
 * Runs behind the walls: pages and patterns of strangers cost it a deadline and nothing else. It is bundled with its
 * libraries (build-program.ts) and knows nothing but its question.
 */

/** Items in the order of the page, or a form; undefined where there is no such form. */
export default function answer(question: Question): Fields[] | Form | undefined {
  return question.ask === 'items'
    ? items(question.text, question.extraction)
    : form(question.text, question.form)
}

/** A row is a node, a value of JSON, or a text. */
function items(text: string, { type, rows, fields }: Extraction): Fields[] {
  const names = Object.entries(fields)
  const root = rootOf(text, type)
  return select(root, rows).map(row =>
    Object.fromEntries(names.map(([name, field]) => [name, fieldOf(row, field)]))
  )
}

function rootOf(text: string, type: Extraction['type']): unknown {
  if (type === 'json') return JSON.parse(text)
  return type === 'text' ? text : parseDocument(text, { xmlMode: type === 'xml' })
}

function select(from: unknown, { css, xpath, path, regex }: Selector): unknown[] {
  let found: unknown[] = [from]
  if (css != null) found = selectAll(css, from as AnyNode)
  else if (xpath != null) found = evaluate(xpath, from as AnyNode)
  else if (path != null) found = readPath(from, path)
  if (regex == null) return found
  const pattern = new RegExp(regex, 'gsu')
  return found.flatMap(each => [...textOf(each).matchAll(pattern)].map(match => match[1] ?? match[0]))
}

function fieldOf(row: unknown, field: FieldSelector): string {
  const [first] = select(row, field.regex == null ? field : { ...field, regex: undefined })
  const element = first as Element
  let text =
    field.attribute == null
      ? textOf(first)
      : first instanceof Element
        ? (element.attribs[field.attribute] ?? '')
        : ''
  if (field.regex != null) {
    const match = new RegExp(field.regex, 'su').exec(text)
    text = match == null ? '' : (match[1] ?? match[0])
  }
  text = text.replace(/\s+/gu, ' ').trim()
  if (field.as === 'lower') return text.toLowerCase()
  return field.as === 'number' ? numberOf(text) : text
}

/** The first number, with a point: of `1 234,50 BYN` it is `1234.50`. */
function numberOf(text: string): string {
  const match = /-?\d(?:[\d\s'’]*\d)?(?:[.,]\d+)?/u.exec(text)
  return match == null ? '' : match[0].replace(/[\s'’]/gu, '').replace(',', '.')
}

function textOf(value: unknown): string {
  if (value == null) return ''
  if (typeof value === 'string') return value
  if (typeof value !== 'object') return String(value)
  if (isAttribute(value)) return value.value
  return 'nodeType' in value ? textContent(value as AnyNode) : JSON.stringify(value)
}

/** With what stands in it already, as a browser would send it without a click on a button. */
function form(text: string, selector: string): Form | undefined {
  const found = selectOne(selector, parseDocument(text)) as Element | null
  if (found == null) return undefined
  const fields: [string, string][] = []
  for (const control of selectAll('input[name], select[name], textarea[name]', found) as Element[]) {
    const { name, type = '', value = '' } = control.attribs
    const kind = type.toLowerCase()
    if ('disabled' in control.attribs || ['submit', 'button', 'image', 'reset', 'file'].includes(kind))
      continue
    if ((kind === 'checkbox' || kind === 'radio') && !('checked' in control.attribs)) continue
    fields.push([name!, sentAs(control, kind, value)])
  }
  const method = (found.attribs.method ?? '').toUpperCase() === 'POST' ? 'POST' : 'GET'
  return { action: found.attribs.action ?? '', method, fields }
}

function sentAs(control: Element, kind: string, value: string): string {
  if (control.name === 'textarea') return textContent(control)
  if (control.name !== 'select') return kind === 'checkbox' && value === '' ? 'on' : value
  const options = selectAll('option', control) as Element[]
  const chosen = options.find(({ attribs }) => 'selected' in attribs) ?? options[0]
  return chosen == null ? '' : (chosen.attribs.value ?? textContent(chosen))
}
