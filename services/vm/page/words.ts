import { en, ru, type Texts } from './texts.ts'

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  /** MB of 2^20 bytes, as machines are registered */
  megabytes(count: number): string
  number(value: number): string
  time(at: number): string
  state(state: string): string
}

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  const number = (value: number): string =>
    new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(value)
  return {
    t: (key, values = {}) =>
      texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? '')),
    megabytes: count =>
      count < 1024 ? `${number(count)} ${texts.mb}` : `${number(count / 1024)} ${texts.gb}`,
    number,
    time: at => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(at),
    // a word that a newer host says is shown as it is
    state: state => (Object.hasOwn(texts, `state_${state}`) ? texts[`state_${state}` as keyof Texts] : state)
  }
}
