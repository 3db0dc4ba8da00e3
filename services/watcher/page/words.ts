import { en, ru, type Texts } from './texts.ts'

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  number(value: number): string
  time(at: number): string
  /** a word that a newer node says is shown as it is */
  word(kind: string, value: string): string
}

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  return {
    // what has no value is written as it stands
    t: (key, values = {}) =>
      texts[key].replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all)),
    number: new Intl.NumberFormat(language).format,
    time: at => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(at),
    word: (kind, value) =>
      Object.hasOwn(texts, `${kind}_${value}`) ? texts[`${kind}_${value}` as keyof Texts] : value
  }
}
