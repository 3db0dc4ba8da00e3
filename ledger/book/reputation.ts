import { MIN_OTHERS } from '../records/evidence.ts'
import type { AccountId } from '../records/types.ts'

/** What the ledger keeps of an account's work. Days count from 1970, UTC. */
export interface WorkRecord {
  firstDay: number
  lastDay: number
  /** paid slices in all */
  accepted: number
  /** proven wrong answers in all */
  wrong: number
  /** paid slices that still have to follow the last wrong answer */
  debt: number
  /** paid slices and wrong answers by day, the last 30 days, ascending */
  days: [day: number, accepted: number, wrong: number][]
  /** the smallest of the requesters' key prefixes, for counting different ones up to 10 */
  partners: string[]
  /** keys of counted evidence, so that nothing counts twice */
  counted: string[]
}

/** What came in since the record was written. Sums and sets only, so that the order of arrival does not matter. */
export interface NewWork {
  accepted: number
  partners: Set<string>
  /** wrong answers by evidence key, with all who answered differently */
  wrong: Map<string, Set<AccountId>>
}

export type TrustLevel = 'excellent' | 'good' | 'average' | 'poor' | 'terrible'

export interface Reputation {
  /** 0 to 1 */
  score: number
  level: TrustLevel
  /** the parts before weights, each 0 to 1 */
  success: number
  quality: number
  consistency: number
  age: number
  cooperation: number
  /** proven wrong answers that are not worked off */
  isCapped: boolean
}

const WINDOW_DAYS = 30
/** Score of an account with a wrong answer that is not worked off: below "poor" (0.3). */
const CAP = 0.29
/** Slices that others have to accept and pay after one proven wrong answer. */
export const DEBT_PER_WRONG = 500
/** A wrong answer weighs as much as this many right ones in the quality: about one in ten is ever checked. */
const WRONG_WEIGHT = 10
const FULL_AGE_DAYS = 90
const FULL_PARTNERS = 10
/** Halves the score every 60 days after a week without work. */
const IDLE_FREE_DAYS = 7
const IDLE_HALF_LIFE_DAYS = 60
/** Who contradicts must have been paid for this many slices before: a fresh identity's word is worth nothing. */
export const MIN_STANDING = 10
/** Evidence keys kept per account; a cheat with more is capped for thousands of slices anyway. */
const MAX_COUNTED = 64

const LEVELS: [number, TrustLevel][] = [
  [0.9, 'excellent'],
  [0.7, 'good'],
  [0.5, 'average'],
  [0.3, 'poor']
]

export const emptyRecord = (): WorkRecord => ({
  firstDay: 0,
  lastDay: 0,
  accepted: 0,
  wrong: 0,
  debt: 0,
  days: [],
  partners: [],
  counted: []
})

/** A record whose wrong answers were counted by evidence that is void: they never were. Pure. */
export const forgive = (record: WorkRecord): WorkRecord => ({
  ...record,
  wrong: 0,
  debt: 0,
  days: record.days.map(([day, accepted]) => [day, accepted, 0]),
  counted: []
})

/** The record after a day's news. `standing`: slices an account was paid for. Pure. */
export function roll(
  record: WorkRecord,
  news: NewWork | undefined,
  day: number,
  standing: (account: AccountId) => number
): WorkRecord {
  if (news == null) return record
  const counting = [...news.wrong]
    .filter(([key, others]) => {
      const weighty = [...others].filter(id => standing(id) >= MIN_STANDING)
      return weighty.length >= MIN_OTHERS && !record.counted.includes(key)
    })
    .map(([key]) => key)
    .sort()
  if (news.accepted === 0 && counting.length === 0) return record
  const wrong = counting.length
  const before = record.days.filter(([at]) => at > day - WINDOW_DAYS && at !== day)
  const today = record.days.find(([at]) => at === day) ?? [day, 0, 0]
  return {
    firstDay: record.accepted === 0 && record.wrong === 0 ? day : record.firstDay,
    lastDay: day,
    accepted: record.accepted + news.accepted,
    wrong: record.wrong + wrong,
    debt: Math.max(0, record.debt + wrong * DEBT_PER_WRONG - news.accepted),
    days: [...before, [day, today[1] + news.accepted, today[2] + wrong]],
    partners: [...new Set([...record.partners, ...news.partners])].sort().slice(0, FULL_PARTNERS),
    counted: [...record.counted, ...counting].slice(-MAX_COUNTED)
  }
}

/**
 * Trust in an account: 0.30 success over 30 days, 0.25 quality over its life, 0.20 consistency,
 * 0.15 age, 0.10 cooperation, decaying while idle, capped below "poor" until proven cheating is worked off, 0 for an
 * account that forked. Rates are estimated with one success and one failure before the first (Laplace), so that nobody starts at either end.
 * Pure.
 */
export function reputation(record: WorkRecord, day: number, isFrozen = false): Reputation {
  const recent = record.days.filter(([at]) => at > day - WINDOW_DAYS && at <= day)
  const accepted30 = recent.reduce((sum, [, accepted]) => sum + accepted, 0)
  const wrong30 = recent.reduce((sum, [, , wrong]) => sum + wrong, 0)
  const success = (accepted30 + 1) / (accepted30 + wrong30 + 2)
  const quality = (record.accepted + 1) / (record.accepted + WRONG_WEIGHT * record.wrong + 2)
  const weeks = new Set(
    recent.filter(([, accepted]) => accepted > 0).map(([at]) => Math.floor((day - at) / 7))
  )
  const consistency = Math.min(1, weeks.size / 4)
  const isKnown = record.accepted + record.wrong > 0
  const age = isKnown ? clamp((day - record.firstDay) / FULL_AGE_DAYS) : 0
  const cooperation = record.partners.length / FULL_PARTNERS
  const idleDays = isKnown ? Math.max(0, day - record.lastDay - IDLE_FREE_DAYS) : 0
  const raw =
    (0.3 * success + 0.25 * quality + 0.2 * consistency + 0.15 * age + 0.1 * cooperation) *
    2 ** (-idleDays / IDLE_HALF_LIFE_DAYS)
  const isCapped = record.debt > 0
  const score = isFrozen ? 0 : clamp(isCapped ? Math.min(CAP, raw) : raw)
  return { score, level: levelOf(score), success, quality, consistency, age, cooperation, isCapped }
}

export function levelOf(score: number): TrustLevel {
  return LEVELS.find(([least]) => score >= least)?.[1] ?? 'terrible'
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value))
