import type { DeviceRow, RuleRow } from './api.ts'
import { en, ru, type Texts } from './texts.ts'

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  number(value: number): string
  time(at: number): string
  megabytes(bytes: number): string
  /** a word that a newer node says is shown as it is */
  word(kind: string, value: string): string
  /** a reading with its unit */
  reading(value: unknown, unit?: string): string
  condition(rule: RuleRow): string
}

const MB = 1_000_000

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  const number = (value: number): string =>
    new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(value)
  const t: Words['t'] = (key, values = {}) =>
    texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))

  function what(rule: RuleRow): string {
    const { reading = '', above, below, perSeconds: seconds, absentSeconds, event, field, equals = '' } = rule
    const limit = number(above ?? below ?? 0)
    if (absentSeconds !== undefined) return t('rule_absent', { seconds: absentSeconds })
    if (event !== undefined)
      return field === undefined
        ? t('rule_event', { event })
        : t('rule_field', { event, field, value: equals })
    if (seconds !== undefined)
      return t(above === undefined ? 'rule_shrinks' : 'rule_grows', { reading, limit, seconds })
    return t(above === undefined ? 'rule_below' : 'rule_above', { reading, limit })
  }

  return {
    t,
    number,
    time: at => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(at),
    megabytes: bytes => `${number(bytes / MB)} ${texts.mb}`,
    word: (kind, value) =>
      Object.hasOwn(texts, `${kind}_${value}`) ? texts[`${kind}_${value}` as keyof Texts] : value,
    reading: (value, unit) =>
      `${typeof value === 'number' ? number(value) : String(value)}${unit === undefined ? '' : ` ${unit}`}`,
    condition: rule =>
      what(rule) + (rule.forSeconds > 0 ? ` ${t('rule_for', { seconds: rule.forSeconds })}` : '')
  }
}

/** What people call it. */
export const nameOf = ({ about, id }: DeviceRow): string =>
  about?.name === undefined || about.name === '' ? id : about.name

/** Devices whose name or id has every word that was typed. Pure. */
export function found(rows: readonly DeviceRow[], typed: string): DeviceRow[] {
  const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean)
  return rows.filter(row => {
    const text = `${nameOf(row)} ${row.id}`.toLocaleLowerCase()
    return words.every(word => text.includes(word))
  })
}
