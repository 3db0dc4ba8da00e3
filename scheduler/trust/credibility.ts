/**
 * How sure one can be of an answer, and what to do about it. Pure: trust records, the answers of
 * a slice and a random number come in, a verdict goes out.
 */

/** How sure the requester wants to be: a probability, a number of equal answers, or nothing at all. */
export type Verification = { confidence: number } | { quorum: number } | 'none'

export const DEFAULT_CONFIDENCE = 0.99

/** What this node found out about a peer, per function class. Only results that were compared count. */
export interface Trust {
  /** comparisons passed since the last wrong result */
  checks: number
  /** the same, set to 0 by errors and time-outs as well */
  streak: number
  /** comparisons ever, and how many of them were wrong */
  compared: number
  wrong: number
  /** when the last wrong one was found, ms since 1970 */
  caughtAt?: number
}

export const NO_TRUST: Trust = { checks: 0, streak: 0, compared: 0, wrong: 0 }

/** How sure an accepted slice is, and what that took. */
export interface Assurance {
  /** answers to the whole slice */
  answers: number
  /** units of it that were recalculated */
  audited: number
  /** of the accepted answer */
  credibility: number
}

// Share of bad workers that is assumed before anything is known (Sarmenta 2002 uses the same).
const ASSUMED_BAD = 0.1
// Fewer consecutive agreements than this: every result is compared.
const PROBATION = 10
// However long the streak: this share is compared, or a sleeper that behaves long enough goes free.
const LEAST_COMPARED = 0.05
// The same where every slice is audited, so that only a cheat on few items can last: a chance of 1 in 100 finds it
// while backtracking, which reaches 200 results, still gets most of them back.
const LEAST_COMPARED_AUDITED = 0.01
/**
 * An answer that was calculated in less is not audited: the call into this node's own sandbox, which every audit waits
 * for, costs about half a ms, as much as a replica of 5 % of such slices.
 */
export const LEAST_AUDITED_MS = 10
/** Chance that a worker gets a result again that is known, beside each slice: enough to meet who knows its replicas. */
export const CANARY_CHANCE = 0.005
// Honest hardware errs about 500 times in a million; whoever errs 20 times as often is left out.
const EXCLUSION_RATE = 0.01
const EXCLUSION_MIN_WRONG = 2
// Broken memory is replaced and a wrong build updated: who comes back is compared from the beginning, so that little is
// risked. Twice as long after every further wrong result, but never for good.
const EXCLUSION_MS = 3_600_000
const EXCLUSION_MAX_MS = 30 * 86_400_000

/**
 * Probability that one answer of a worker is right. `bad`: share f of bad workers.
 * Spot-checking with exclusion of the caught (Sarmenta 2002, "Sabotage-tolerance mechanisms", eq. 4):
 * 1 − f / ((1 − f) · k · e) after k passed checks, 1 − f before the first.
 */
export function credibility({ checks }: Trust, bad: number = ASSUMED_BAD): number {
  if (checks === 0) return 1 - bad
  return Math.max(1 - bad, 1 - bad / ((1 - bad) * checks * Math.E))
}

/**
 * Credibility of each group of equal answers of one slice (Sarmenta 2002, eq. 6): by Bayes, over the events that
 * exactly one group is right and the others are wrong, or that all are wrong.
 * `groups`: per group the credibilities of its members.
 */
export function groupCredibility(groups: number[][]): number[] {
  const good = groups.map(members => members.reduce((product, each) => product * each, 1))
  const wrong = groups.map(members => members.reduce((product, each) => product * (1 - each), 1))
  const allWrong = wrong.reduce((product, each) => product * each, 1)
  // P(group right, all others wrong)
  const only = good.map((right, i) =>
    wrong.reduce((product, each, j) => (j === i ? product : product * each), right)
  )
  const sum = allWrong + only.reduce((total, each) => total + each, 0)
  return only.map(each => (sum === 0 ? 0 : each / sum))
}

/** Chance that an answer which would be credible alone is compared all the same. */
export function comparisonChance(trust: Trust): number {
  return isProven(trust) ? Math.max(LEAST_COMPARED, 1 / trust.streak) : 1
}

/**
 * The largest share of an answer's items that can be wrong and pass `audits` audits, in expectation: who cheats on a
 * share s of the items escapes with (1 − s)^k, so s · (1 − s)^k of them get through, at most
 * 1/(k + 1) · (k/(k + 1))^k, at s = 1/(k + 1). Sarmenta's eq. 4 is the same bound over a worker's results.
 */
export function escapingShare(audits: number): number {
  return (audits / (audits + 1)) ** audits / (audits + 1)
}

/** Probability that an item of an answer is right after `audits` items of it were recalculated and found right. */
export function auditedCredibility(alone: number, audits: number): number {
  return 1 - (1 - alone) * escapingShare(audits)
}

/** Audits that make an answer of credibility `alone` credible enough; at least 1, so that nobody can fall asleep. */
function auditsFor(alone: number, confidence: number, most: number): number {
  let audits = 1
  while (audits <= most && auditedCredibility(alone, audits) < confidence) audits++
  return audits
}

/** The share of bad workers to reckon with: what was assumed, or what was seen where that is worse. */
export function badShare(seen: number, caught: number): number {
  return Math.min(0.45, Math.max(ASSUMED_BAD, seen < 5 ? 0 : caught / seen))
}

/** true when the rate of wrong results is not that of honest hardware */
export function errsTooOften({ compared, wrong }: Trust): boolean {
  return wrong > compared * EXCLUSION_RATE
}

/** Until when a worker gets no work, ms since 1970: it errs too often, and not just once. undefined: it may have some. */
export function excludedUntil(trust: Trust, now: number): number | undefined {
  const { wrong, caughtAt = 0 } = trust
  if (wrong < EXCLUSION_MIN_WRONG || !errsTooOften(trust)) return
  const until = caughtAt + Math.min(EXCLUSION_MAX_MS, EXCLUSION_MS * 2 ** (wrong - EXCLUSION_MIN_WRONG))
  return now < until ? until : undefined
}

/** How a slice that a worker is the first to get will be checked. */
export interface Checks {
  /** chance that a second worker answers it too */
  replica: number
  /** items that are recalculated when nobody else answers it */
  audits: number
}

/**
 * The cheaper way to the confidence: audits cost audits / items of a copy, a replica a whole one. Audits are no way
 * for newcomers, who could throw the name away, nor for an answer of few items. `items`: of the slice, 1 where its
 * answer cannot be audited in part.
 */
export function checksFor(confidence: number, trust: Trust, bad: number, items: number): Checks {
  const alone = credibility(trust, bad)
  const replica = alone >= confidence ? comparisonChance(trust) : 1
  const audits = auditsFor(alone, confidence, items)
  const isCheaper = audits / items + LEAST_COMPARED_AUDITED < replica
  return isProven(trust) && isCheaper ? { replica: LEAST_COMPARED_AUDITED, audits } : { replica, audits: 0 }
}

/** true for who is past probation */
export function isProven({ streak }: Trust): boolean {
  return streak >= PROBATION
}

/**
 * The index of the group to accept, or undefined when one more answer is needed.
 * `groups`: per group the credibilities of its members; `wanted`: answers wanted at least.
 */
export function verdict(verification: Verification, groups: number[][], wanted: number): number | undefined {
  const sizes = groups.map(members => members.length)
  const largest = sizes.indexOf(Math.max(...sizes))
  if (verification === 'none') return largest
  if ('quorum' in verification) return sizes[largest]! >= verification.quorum ? largest : undefined
  if (sizes.reduce((sum, size) => sum + size, 0) < wanted) return undefined
  const credibilities = groupCredibility(groups)
  const best = credibilities.indexOf(Math.max(...credibilities))
  return credibilities[best]! >= verification.confidence ? best : undefined
}

/** Trust after an answer agreed with the accepted one. */
export function passed(trust: Trust): Trust {
  return {
    ...trust,
    checks: trust.checks + 1,
    streak: trust.streak + 1,
    compared: trust.compared + 1
  }
}

/** Trust after audits of an answer; the streak, which stands for whole answers, does not grow. */
export function audited(trust: Trust): Trust {
  return { ...trust, checks: trust.checks + 1, compared: trust.compared + 1 }
}

/** Trust after an answer was found wrong at `now`. */
export function caught(trust: Trust, now: number): Trust {
  return { checks: 0, streak: 0, compared: trust.compared + 1, wrong: trust.wrong + 1, caughtAt: now }
}

/** Trust after an error or a time-out that others did not have. */
export function stumbled(trust: Trust): Trust {
  return { ...trust, streak: 0 }
}

/**
 * Expected copies that are paid for, beside those without verification, for workers that are known. `items` of a
 * slice, 1 where answers cannot be audited; audits run on the requester's own machine and are not paid.
 */
export function expectedCost(
  verification: Verification,
  trusts: Trust[],
  { items = 1, bad = ASSUMED_BAD }: { items?: number; bad?: number } = {}
): number {
  if (verification === 'none') return 1
  if ('quorum' in verification) return verification.quorum
  if (trusts.length === 0) return 2
  const each = trusts.map(trust => {
    const canaries = isProven(trust) ? CANARY_CHANCE : 0
    return 1 + canaries + checksFor(verification.confidence, trust, bad, items).replica
  })
  return each.reduce((sum, cost) => sum + cost, 0) / each.length
}
