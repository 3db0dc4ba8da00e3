import { en, ru, type Texts } from './texts.ts'

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  number(value: number | bigint): string
  chance(value: number): string
  percent(share: number): string
  /** a key of a preset's answer; what is not known is shown as it is */
  name(kind: 'class' | 'end' | 'play', key: string): string
}

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  const format = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, options).format
  return {
    t: (key, values = {}) =>
      texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? '')),
    number: format({}),
    chance: format({ minimumFractionDigits: 6, maximumFractionDigits: 6 }),
    percent: format({ style: 'percent', maximumSignificantDigits: 3 }),
    name(kind, key) {
      const text = `${kind}_${key.replaceAll(' ', '_')}`
      return Object.hasOwn(texts, text) ? texts[text as keyof Texts] : key
    }
  }
}
