import type { Message } from '../contract.ts'
import type { Fields } from '../extract/contract.ts'

const TITLES = { new: 'New', changed: 'Changed', gone: 'Gone', returned: 'Back again' } as const

export interface Letter {
  subject: string
  text: string
  html: string
}

/** A message for people. What stands in it was written by strangers: no line of it reaches a header, no tag the reader. */
export function compose(message: Message): Letter {
  const lines = linesOf(message)
  return {
    subject: oneLine(subjectOf(message)),
    text: lines.map(({ text }) => text).join('\n'),
    html: `<meta charset="utf-8">${lines.map(({ html }) => `<p>${html}</p>`).join('\n')}`
  }
}

function subjectOf({ kind, subscription, rule, events }: Message): string {
  switch (kind) {
    case 'events':
      return `${subscription}: ${events.length} ${events.length === 1 ? 'change' : 'changes'}`
    case 'first':
      return `${subscription}: ${events.length} already there`
    case 'nothing':
      return `${subscription}: nothing new`
    case 'broken':
      return `${rule} cannot be read any more`
    case 'mended':
      return `${rule} can be read again`
  }
}

interface Line {
  text: string
  html: string
}

function linesOf(message: Message): Line[] {
  const { kind, reason, before, after, events } = message
  if (kind === 'nothing') return [line('Nothing has changed since the last message.')]
  if (kind === 'mended')
    return [line('Its pages are again as they should be; nothing was taken as gone meanwhile.')]
  if (kind === 'broken')
    return [
      line(`Three times in a row: ${reason}. Nothing is taken as gone meanwhile.`),
      line(`As it was: ${before == null ? '-' : written(before)}`),
      line(`As it is read now: ${after == null ? '-' : written(after)}`)
    ]
  return events.map(({ kind, rule, old, new: now }) => {
    const title = `${TITLES[kind]} (${oneLine(rule)}): `
    if (now == null || old == null || kind !== 'changed') return line(title + written(now ?? old ?? {}))
    return line(title + written(now) + differences(old, now))
  })
}

const line = (text: string): Line => ({ text, html: escapeHtml(text) })

const written = (fields: Fields): string =>
  Object.entries(fields)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${oneLine(value)}`)
    .join('; ')

const differences = (old: Fields, now: Fields): string =>
  Object.keys(now)
    .filter(name => old[name] !== now[name])
    .map(name => ` [${name} was: ${oneLine(old[name] ?? '')}]`)
    .join('')

/** Without line breaks and other characters that command: of headers, terminals, or the direction of writing. */
export const oneLine = (text: string): string =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+/gu, ' ')

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;'
}
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, character => ESCAPED[character]!)
