import type { CampaignRow } from './api.ts'
import { en, ru, type Texts } from './texts.ts'

const MB = 1_000_000

export interface Words {
  t(key: keyof Texts, values?: Record<string, string | number>): string
  number(value: number): string
  time(at: number): string
  megabytes(bytes: number): string
  reading(value: unknown): string
  lamp(lamp: string): string
  state(tv: CampaignRow['tvs'][number], of: number): string
}

export function createWords(language: 'en' | 'ru'): Words {
  const texts = language === 'ru' ? ru : en
  const number = (value: number): string =>
    new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(value)
  const t: Words['t'] = (key, values = {}) =>
    texts[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
  return {
    t,
    number,
    time: at => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(at),
    megabytes: bytes => `${number(bytes / MB)} ${texts.mb}`,
    reading: value => (typeof value === 'number' ? number(value) : String(value)),
    // a word that a newer node says is shown as it is
    lamp: lamp => (Object.hasOwn(texts, `lamp_${lamp}`) ? texts[`lamp_${lamp}` as keyof Texts] : lamp),
    state: ({ isShowing, isReady, files }, of) =>
      isShowing ? texts.state_showing : isReady ? texts.state_ready : t('state_waiting', { n: files, of })
  }
}
