import { en, ru, type Texts } from './texts.ts'

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  number(value: unknown): string
  time(at: number): string
  /** a word that a newer node says is shown as it is */
  word(kind: string, value: string): string
}

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  return {
    t: (key, values = {}) =>
      texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? '')),
    number: value => (typeof value === 'number' ? new Intl.NumberFormat(language).format(value) : '–'),
    time: at => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(at),
    word: (kind, value) =>
      Object.hasOwn(texts, `${kind}_${value}`) ? texts[`${kind}_${value}` as keyof Texts] : value
  }
}

/** Credits that stayed, where both sides are known. */
export const netOf = (readings: Record<string, unknown>): number | undefined =>
  typeof readings.coinIn === 'number' && typeof readings.coinOut === 'number'
    ? readings.coinIn - readings.coinOut
    : undefined
