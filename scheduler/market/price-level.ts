import { MARKET_RANGE, smoothed } from './price.ts'

/** What the price level was at a time (ms). */
export interface Level {
  at: number
  level: number
}

/** An expected price level with the interval that holds it with 95 % probability if the trend goes on. */
export interface Outlook {
  level: number
  low: number
  high: number
}

export interface Forecast {
  /** the market factor now: 0.8 to 1.8, 1 is the base price */
  now: number
  inOneHour: Outlook
  inSixHours: Outlook
}

const HOUR_MS = 3_600_000
// Smoothing ties neighbours together: after a minute of looks every 10 s, 0.7^6 = 12 % of a level is left in the next.
const SAMPLE_MS = 60_000
// A trend of the last hours is the news; what was before is another time of the day.
const HISTORY_MS = 6 * HOUR_MS
// 97.5 % quantile of the normal distribution
const Z = 1.96

const clamp = (level: number): number => Math.min(MARKET_RANGE.high, Math.max(MARKET_RANGE.low, level))

/**
 * Level at `at` by ordinary least squares over the history: y = ȳ + b (x − x̄), b = Sxy / Sxx, and the 95 % prediction
 * interval ± 1.96 s √(1 + 1/n + (x − x̄)² / Sxx), s² = SSE / (n − 2) (Draper & Smith, Applied Regression Analysis,
 * § 1.4). All three are clamped to what the market factor can be. From fewer than three points nothing follows: then
 * the interval is the whole range.
 */
export function outlook(history: readonly Level[], at: number): Outlook {
  const n = history.length
  const last = history.at(-1)?.level ?? 1
  const meanX = history.reduce((sum, point) => sum + point.at, 0) / n
  const sxx = history.reduce((sum, point) => sum + (point.at - meanX) ** 2, 0)
  if (n < 3 || sxx === 0) return { level: clamp(last), ...MARKET_RANGE }
  const meanY = history.reduce((sum, point) => sum + point.level, 0) / n
  const slope = history.reduce((sum, point) => sum + (point.at - meanX) * (point.level - meanY), 0) / sxx
  const valueAt = (x: number): number => meanY + slope * (x - meanX)
  const sse = history.reduce((sum, point) => sum + (point.level - valueAt(point.at)) ** 2, 0)
  const half = Z * Math.sqrt((sse / (n - 2)) * (1 + 1 / n + (at - meanX) ** 2 / sxx))
  const level = valueAt(at)
  return { level: clamp(level), low: clamp(level - half), high: clamp(level + half) }
}

/** Supply and demand as this node sees them, by looks at the offers in regular intervals. */
export function createMarket() {
  let factor = 1
  const history: Level[] = []
  return {
    /** the smoothed market factor */
    get factor(): number {
      return factor
    },
    look(utilisation: number, now: number): void {
      factor = smoothed(factor, utilisation)
      if (now - (history.at(-1)?.at ?? Number.NEGATIVE_INFINITY) < SAMPLE_MS) return
      history.push({ at: now, level: factor })
      while (now - history[0]!.at > HISTORY_MS) history.shift()
    },
    forecast(now: number): Forecast {
      return {
        now: factor,
        inOneHour: outlook(history, now + HOUR_MS),
        inSixHours: outlook(history, now + 6 * HOUR_MS)
      }
    }
  }
}
