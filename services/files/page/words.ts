import { en, ru, type Texts } from './texts.ts'

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  bytes(count: number): string
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  return {
    t: (key, values = {}) =>
      texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? '')),
    bytes(count) {
      const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3))
      return new Intl.NumberFormat(language, {
        style: 'unit',
        unit: UNITS[power]!,
        unitDisplay: 'short',
        maximumFractionDigits: 1
      }).format(count / 1000 ** power)
    }
  }
}
