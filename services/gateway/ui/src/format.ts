const MICRO = 1_000_000n
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

export interface Format {
  number(value: number, digits?: number): string
  /** 1.2M */
  compact(value: number): string
  /** share of 1 */
  percent(share: number, digits?: number): string
  /** micro-credits as credits, at most `digits` after the point (6 is exact) */
  credits(micro: string, digits?: number): string
  /** ms since 1970 */
  time(ms: number): string
  dateTime(ms: number): string
  /** as short as date and time can be */
  moment(ms: number): string
  /** how long ago */
  ago(ms: number, now: number): string
  duration(ms: number): string
  bytes(count: number): string
  latency(ms: number): string
}

/** Everything a page writes with figures in it, in the manner of a locale. */
export function createFormat(locale: string): Format {
  const made = new Map<string, Intl.NumberFormat>()
  function numbers(options: Intl.NumberFormatOptions): Intl.NumberFormat {
    const key = JSON.stringify(options)
    const found = made.get(key) ?? new Intl.NumberFormat(locale, options)
    made.set(key, found)
    return found
  }
  const time = new Intl.DateTimeFormat(locale, { timeStyle: 'medium' })
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
  const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'short', timeStyle: 'medium' })
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' })
  const unit = (unit: string, value: number, digits = 0): string =>
    numbers({ style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: digits }).format(value)

  return {
    number: (value, digits = 3) => numbers({ maximumFractionDigits: digits }).format(value),
    compact: value => numbers({ notation: 'compact', maximumSignificantDigits: 3 }).format(value),
    percent: (share, digits = 0) =>
      numbers({ style: 'percent', maximumFractionDigits: digits }).format(share),
    credits: (micro, digits = 6) =>
      // a decimal string keeps all digits, where a number would not
      numbers({ maximumFractionDigits: digits }).format(decimal(micro) as Intl.StringNumericLiteral),
    time: ms => time.format(ms),
    dateTime: ms => dateTime.format(ms),
    moment: ms => moment.format(ms),
    ago(ms, now) {
      const past = ms - now
      const size = Math.abs(past)
      if (size < MINUTE_MS) return relative.format(Math.round(past / SECOND_MS), 'second')
      if (size < HOUR_MS) return relative.format(Math.round(past / MINUTE_MS), 'minute')
      if (size < DAY_MS) return relative.format(Math.round(past / HOUR_MS), 'hour')
      return relative.format(Math.round(past / DAY_MS), 'day')
    },
    duration(ms) {
      if (ms < SECOND_MS) return unit('millisecond', ms)
      if (ms < MINUTE_MS) return unit('second', ms / SECOND_MS, 1)
      if (ms < HOUR_MS)
        return `${unit('minute', Math.floor(ms / MINUTE_MS))} ${unit('second', Math.floor((ms % MINUTE_MS) / SECOND_MS))}`
      return `${unit('hour', Math.floor(ms / HOUR_MS))} ${unit('minute', Math.floor((ms % HOUR_MS) / MINUTE_MS))}`
    },
    bytes(count) {
      if (count < 1000) return unit('byte', count)
      if (count < 1_000_000) return unit('kilobyte', count / 1000, 1)
      return unit('megabyte', count / 1_000_000, 1)
    },
    latency: ms => unit('millisecond', ms, ms < 10 ? 1 : 0)
  }
}

/** Micro-credits as an exact decimal number of credits. */
export function decimal(micro: string): string {
  const value = BigInt(micro)
  const size = value < 0n ? -value : value
  return `${value < 0n ? '-' : ''}${size / MICRO}.${(size % MICRO).toString().padStart(6, '0')}`
}

/** Where exactness does not matter: charts. */
export const toCredits = (micro: string | bigint): number => Number(micro) / Number(MICRO)

/** The end of an id tells peers apart; all of ours begin alike. */
export const shortId = (id: string): string => (id.length <= 10 ? id : `…${id.slice(-6)}`)
