import type { Measure } from './api.ts'
import { en, ru, type Texts } from './texts.ts'

const MICRO = 1_000_000
const MB = 1024 * 1024

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  number(value: number): string
  percent(share: number): string
  /** micro-credits as credits */
  credits(micro: bigint | string): string
  megabytes(bytes: number): string
  time(at: number): string
  /** of a day as 2026-11-30 */
  day(date: string): string
  /** a figure with its unit */
  measured(value: number, unit: Measure['unit']): string
  /** a word that a newer node says is shown as it is */
  word(kind: string, value: string): string
}

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  const format = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, options).format
  const number = format({ maximumFractionDigits: 1 })
  const percent = format({ style: 'percent', maximumFractionDigits: 1 })
  const credits = format({ maximumFractionDigits: 6 })
  return {
    t: (key, values = {}) =>
      texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? '')),
    number,
    percent,
    credits: micro => credits(Number(micro) / MICRO),
    megabytes: bytes => `${number(bytes / MB)} ${texts.mb}`,
    time: at => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(at),
    day: date =>
      new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeZone: 'UTC' }).format(Date.parse(date)),
    measured(value, unit) {
      if (unit === 'share') return percent(value)
      if (unit === 'users') return number(value)
      return `${number(value)} ${unit === 'MB' ? texts.mb : texts.ms}`
    },
    word: (kind, value) =>
      Object.hasOwn(texts, `${kind}_${value}`) ? texts[`${kind}_${value}` as keyof Texts] : value
  }
}
