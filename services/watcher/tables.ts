import type { Event } from './contract.ts'
import type { Fields } from './extract/contract.ts'
import { escapeHtml, oneLine } from './send/compose.ts'

interface Item {
  rule: string
  key: string
  fields: Fields
  first: number
  last: number
  isGone: boolean
}

/** RFC 4180. A cell that a spreadsheet would calculate is text. */
export function toCsv(items: readonly Item[]): string {
  const names = [...new Set(items.flatMap(({ fields }) => Object.keys(fields)))]
  const rows = items.map(({ rule, fields, first, last, isGone }) => [
    rule,
    ...names.map(name => fields[name] ?? ''),
    new Date(first).toISOString(),
    new Date(last).toISOString(),
    isGone ? 'gone' : ''
  ])
  return [['rule', ...names, 'first', 'last', 'gone'], ...rows]
    .map(row => `${row.map(cell).join(',')}\r\n`)
    .join('')
}

function cell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}

/** RSS 2.0. */
export function toRss(events: readonly Event[], nameOf: (rule: string) => string): string {
  const items = events.map(({ number, rule, at, kind, key, old, new: now }) => {
    const written = Object.entries(now ?? old ?? {}).map(([name, value]) => `${name}: ${value}`)
    return `<item><guid isPermaLink="false">artel-watch-${number}</guid><pubDate>${new Date(at).toUTCString()}</pubDate>${tag(
      'title',
      `${kind}: ${key} (${nameOf(rule)})`
    )}${tag('description', written.join('; '))}</item>`
  })
  const head = `${tag('title', 'Artel watch')}${tag('link', 'http://localhost/')}${tag('description', 'what has changed')}`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>${head}${items.join('\n')}</channel></rss>\n`
}

const tag = (name: string, text: string): string => `<${name}>${escapeHtml(oneLine(text))}</${name}>`
