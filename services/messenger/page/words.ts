import { REPORTS_TITLE } from '../core/constants.ts'
import { en, ru, type Texts } from './texts.ts'
import type { Chat, Program } from './wire.ts'

export interface Words {
  language: 'en' | 'ru'
  t(key: keyof Texts, values?: Record<string, string | number>): string
  time(at: number): string
  /** in the largest unit that it fills */
  minutes(count: number): string
  bytes(count: number): string
  /** a word that a newer node says is shown as it is */
  word(kind: 'finding' | 'state' | 'role' | 'action' | 'mark' | 'log' | 'incident', value: string): string
  /** why a program does not work; as the node says it where it has no name, or one that is not known here */
  whyFailed(failed: NonNullable<Program['failed']>): string
  titleOf(chat: Chat): string
}

const MB = 1_000_000
/** minutes */
const DAY = 24 * 60

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  const t: Words['t'] = (key, values = {}) =>
    texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
  const figure = (value: number, unit: string): string =>
    new Intl.NumberFormat(language, {
      style: 'unit',
      unit,
      unitDisplay: 'short',
      maximumFractionDigits: 1
    }).format(value)
  return {
    language,
    t,
    time: at => new Intl.DateTimeFormat(language, { dateStyle: 'short', timeStyle: 'short' }).format(at),
    minutes: count => {
      const [length, unit] =
        count >= DAY
          ? ([DAY, 'day'] as const)
          : ([count >= 60 ? 60 : 1, count >= 60 ? 'hour' : 'minute'] as const)
      return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(
        count / length
      )
    },
    bytes: count =>
      count < MB ? figure(Math.ceil(count / 1000), 'kilobyte') : figure(count / MB, 'megabyte'),
    word: (kind, value) =>
      Object.hasOwn(texts, `${kind}_${value}`) ? texts[`${kind}_${value}` as keyof Texts] : value,
    whyFailed: ({ why, faults = [] }) => {
      const keys = faults.map(({ is }) => `fault_${is}` as keyof Texts)
      if (keys.length === 0 || !keys.every(key => Object.hasOwn(texts, key))) return why
      return faults.map(({ of }, i) => t(keys[i]!, Object.fromEntries(of.entries()))).join('; ')
    },
    titleOf: ({ title, people }) =>
      title === REPORTS_TITLE ? `${t('reports')}: ${people.map(({ name }) => name).join(', ')}` : title
  }
}

/** Rows with all of these words somewhere. Pure. */
export function withWords<T>(rows: readonly T[], typed: string, textOf: (row: T) => string): T[] {
  const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean)
  return rows.filter(row => {
    const text = textOf(row).toLocaleLowerCase()
    return words.every(word => text.includes(word))
  })
}
