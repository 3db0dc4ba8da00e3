import { en, ru, type Texts } from './texts.ts'

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  number(value: number): string
  dateTime(ms: number): string
  duration(ms: number): string
  /** micro-credits as credits */
  credits(micro: string): string
}

const SECONDS = { second: 1, minute: 60, hour: 3600 }

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  const number = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, options).format
  const dateTime = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' })
  return {
    t: (key, values = {}) =>
      texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? '')),
    number: number({}),
    dateTime: ms => dateTime.format(ms),
    duration(ms) {
      const seconds = ms / 1000
      const unit = seconds < 60 ? 'second' : seconds < 3600 ? 'minute' : 'hour'
      const format = number({ style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 1 })
      return format(seconds / SECONDS[unit])
    },
    credits: micro => number({ maximumFractionDigits: 4 })(Number(micro) / 1e6)
  }
}
