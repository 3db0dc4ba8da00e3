import { z } from 'zod'

/** Hours of weekdays in a time zone. */
export interface Hours {
  /** 1 is Monday */
  days: ReadonlySet<number>
  /** minutes of the day; `from` after `to` goes over midnight, and belongs to the day on which it began */
  from: number
  to: number
  zone: string
}

const HOURS = /^([1-7](?:[-,][1-7])*) (\d{2}):(\d{2})-(\d{2}):(\d{2}) ([\w/+-]{1,50})$/
const DAY_MINUTES = 24 * 60

/** `1-5 07:00-23:30 Europe/Moscow`; undefined: it is none. */
export function hoursOf(text: string): Hours | undefined {
  const [, days = '', ...rest] = HOURS.exec(text) ?? []
  const [fromHour, fromMinute, toHour, toMinute] = rest.slice(0, 4).map(Number)
  const zone = rest[4]
  if (zone == null || !isZone(zone)) return undefined
  const from = fromHour! * 60 + fromMinute!
  const to = toHour! * 60 + toMinute!
  if (from >= DAY_MINUTES || to > DAY_MINUTES || fromMinute! > 59 || toMinute! > 59 || from === to)
    return undefined
  const named = new Set<number>()
  for (const part of days.split(',')) {
    const [first, last = first] = part.split('-').map(Number)
    if (part.split('-').length > 2 || first! > last!) return undefined
    for (let day = first!; day <= last!; day++) named.add(day)
  }
  return { days: named, from, to, zone }
}

/** Hours as people write them; none: always. */
export const hoursTexts = z
  .array(
    z
      .string()
      .max(100)
      .refine(text => hoursOf(text) != null, 'is none; write it like 1-5 07:00-23:00 Europe/Moscow')
  )
  .max(20)
  .default([])

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    // RangeError: there is no such zone
    return false
  }
}

const WEEKDAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
const formats = new Map<string, Intl.DateTimeFormat>()

/** Whether a moment is within any of them; none: always. @param at ms since 1970 */
export function isWithin(hours: readonly Hours[], at: number): boolean {
  return (
    hours.length === 0 ||
    hours.some(({ days, from, to, zone }) => {
      const { day, minute } = localTime(zone, at)
      if (from < to) return days.has(day) && minute >= from && minute < to
      return (days.has(day) && minute >= from) || (days.has(((day + 5) % 7) + 1) && minute < to)
    })
  )
}

/** The same of hours as people write them. */
export const isIn = (texts: readonly string[], at: number): boolean =>
  isWithin(
    texts.flatMap(text => hoursOf(text) ?? []),
    at
  )

function localTime(zone: string, at: number): { day: number; minute: number } {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23'
    })
  formats.set(zone, format)
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
  return {
    day: WEEKDAYS.indexOf(parts.weekday!) + 1,
    minute: Number(parts.hour) * 60 + Number(parts.minute)
  }
}
