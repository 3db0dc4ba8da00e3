import type { Counted } from './api.ts'

/** What a bar of the histogram stands for. */
export interface Bar {
  label: string
  /** of things that were counted, a chance, or a gain */
  value: number
  /** part of all, 0 to 1; a gain has none */
  share?: number
  /** as a fraction */
  exact?: string
}

/** The bars of an answer, or undefined where it is no histogram. `name`: how to call a key. Pure. */
export function barsOf(
  { classes, ends, plays, hits, value }: Counted,
  name: (kind: 'class' | 'end' | 'play', key: string) => string
): Bar[] | undefined {
  if (ends != null)
    return ends.map(({ end, chance, exact }) => ({
      label: name('end', end),
      value: chance,
      share: chance,
      exact
    }))
  if (plays != null) return plays.map(({ play, gain }) => ({ label: name('play', play), value: gain }))
  const pairs =
    classes?.map(row => [name('class', row.class), row.count] as const) ??
    hits?.map(row => [String(row.hits), row.draws] as const) ??
    (isHistogram(value) ? value.map(([key, count]) => [String(key), count] as const) : undefined)
  if (pairs == null) return undefined
  const all = pairs.reduce((sum, [, count]) => sum + count, 0) || 1
  return pairs.map(([label, value]) => ({ label, value, share: value / all }))
}

const isHistogram = (value: unknown): value is [unknown, number][] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(row => Array.isArray(row) && row.length === 2 && typeof row[1] === 'number')

/** What is no histogram, as text. Pure. */
export function singleOf({ solutions, systems, value }: Counted): string {
  const single = solutions ?? systems ?? value
  return typeof single === 'object' ? JSON.stringify(single, null, 2) : String(single)
}

/** A table for spreadsheets, in which no cell calculates. Pure. */
export function asCsv(head: readonly string[], bars: readonly Bar[]): string {
  const cell = (text: string): string => {
    const safe = /^[=+\-@\t\r]/.test(text) && !/^-?[\d.]+(e-?\d+)?$/.test(text) ? `'${text}` : text
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  const rows = bars.map(({ label, value, exact }) => [
    label,
    String(value),
    ...(exact == null ? [] : [exact])
  ])
  const columns = bars.some(({ exact }) => exact != null) ? 3 : 2
  return [head.slice(0, columns), ...rows].map(row => row.map(cell).join(',')).join('\r\n')
}
