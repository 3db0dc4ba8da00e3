const DAYS = 7
const WEEKS = 4
const MONTHS = 3
const DAY_MS = 24 * 3_600_000

/**
 * Which backups stay: the newest full one of the last 7 days that have one, of 4 weeks and of 3 months, and the changes of
 * the newest. Counted, not timed: where none was made for a year, the last stay. Pure.
 */
export function keptOf<T extends { id: string; at: number; of?: string | undefined }>(
  backups: readonly T[]
): T[] {
  const all = [...backups].sort((a, b) => b.at - a.at)
  const newestFirst = all.filter(({ of }) => of == null)
  const kept = new Set<T>()
  const keep = (most: number, periodOf: (at: number) => string | number): void => {
    const seen = new Set<string | number>()
    for (const each of newestFirst) {
      const period = periodOf(each.at)
      if (seen.has(period)) continue
      if (seen.size === most) return
      seen.add(period)
      kept.add(each)
    }
  }
  keep(DAYS, at => Math.floor(at / DAY_MS))
  // day 0 was a Thursday: weeks begin on Mondays
  keep(WEEKS, at => Math.floor((at / DAY_MS + 3) / 7))
  keep(MONTHS, at => new Date(at).toISOString().slice(0, 7))
  return all.filter(each => kept.has(each) || (each.of != null && each.of === newestFirst[0]?.id))
}

/**
 * Which of those that were lost here would still stay, the newest first: one that was made after the loss takes the place of
 * none of the same day, nor of its hours. Pure.
 */
export function stayingOf<T extends { id: string; at: number; of?: string | undefined }>(
  here: readonly T[],
  lost: readonly T[]
): T[] {
  const dayOf = ({ at }: T): number => Math.floor(at / DAY_MS)
  const full = lost.filter(({ of }) => of == null)
  const days = new Set(full.map(dayOf))
  const kept = new Set(keptOf([...here.filter(each => !days.has(dayOf(each))), ...full]))
  const ids = new Set(full.filter(each => kept.has(each)).map(({ id }) => id))
  const staying = new Set(keptOf([...here, ...lost]))
  return keptOf(lost).filter(each => staying.has(each) || ids.has(each.of ?? each.id))
}

const BACKUP_HOUR = 2
const HOUR_MS = 3_600_000

/** Whether an hour has begun between two times. Pure. */
export const isNewHour = (lastMs: number, nowMs: number): boolean =>
  Math.floor(lastMs / HOUR_MS) < Math.floor(nowMs / HOUR_MS)

/** Whether a backup is due: it was two in the morning, by the clock of this place, since the last one. Pure. */
export function isDue(lastMs: number, nowMs: number): boolean {
  const at = new Date(nowMs)
  at.setHours(BACKUP_HOUR, 0, 0, 0)
  if (at.getTime() > nowMs) at.setDate(at.getDate() - 1)
  return lastMs < at.getTime()
}

/** Whether a week has begun between two times, by the clock of this place; weeks begin on Mondays. Pure. */
export function isNewWeek(lastMs: number, nowMs: number): boolean {
  const monday = new Date(nowMs)
  monday.setHours(0, 0, 0, 0)
  monday.setDate(monday.getDate() - ((monday.getDay() + 6) % 7))
  return lastMs < monday.getTime()
}
