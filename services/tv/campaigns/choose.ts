import { isIn } from '../../host/index.ts'
import type { Campaign } from './campaign.ts'

/** A clock that says less was never set. */
const CLOCK_SET_MS = Date.UTC(2026, 0)

export interface Choice {
  campaign: Campaign
  /** it is not the time of this one: no campaign of now is complete here, or nobody knows what time it is */
  instead?: 'not ready' | 'no clock'
}

export const isScheduled = ({ start, end, schedule }: Campaign, now: number): boolean =>
  start <= now && now < end && isIn(schedule, now)

/** Priority, then the later start. Pure. */
export const byRank = (a: Campaign, b: Campaign): number =>
  b.priority - a.priority || b.start - a.start || (a.name < b.name ? -1 : 1)

/**
 * What a TV shows now: the first by rank that is complete on it. Where there should be something and nothing of it is
 * complete, or the clock was never set, the last complete one, and it is said. Pure.
 */
export function choose({
  campaigns,
  last,
  isReady,
  now
}: {
  campaigns: readonly Campaign[]
  last: Campaign | undefined
  isReady(campaign: Campaign): boolean
  now: number
}): Choice | undefined {
  const instead = (why: NonNullable<Choice['instead']>): Choice | undefined =>
    last != null && isReady(last) ? { campaign: last, instead: why } : undefined
  if (now < CLOCK_SET_MS) return instead('no clock')
  const scheduled = campaigns.filter(each => isScheduled(each, now)).sort(byRank)
  const ready = scheduled.find(isReady)
  if (ready != null) return { campaign: ready }
  return scheduled.length === 0 ? undefined : instead('not ready')
}
