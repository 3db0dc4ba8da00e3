import { basePrice } from './price.ts'

/** Time that one requester may use here without paying for it: what a grant pays for a hundredth of. */
export const UNPAID_LIMIT_MS = 100_000
/** … and so much is forgiven in a day */
const FORGIVEN_PER_DAY_MS = UNPAID_LIMIT_MS
/** What an honest requester cannot help: slices that another worker finished first, programs that throw. */
const UNPAID_PER_PAID = 0.2
/** Below this share of the base price time counts as unpaid: slow machines, low priority and good standing make it cheap. */
const LEAST_SHARE = 0.1
/** Requesters that are remembered; names cost nothing, and who is forgotten was forgiven most. */
const MAX_REQUESTERS = 10_000
const DAY_MS = 86_400_000

/** ms of a slot that were used beyond what was paid for them. Pure. */
export function unpaidMs(usedMs: number, priceMicro: number): number {
  return Math.max(0, usedMs - priceMicro / (LEAST_SHARE * Number(basePrice({ cpuMs: 1 }))))
}

/**
 * The time that requesters used without paying, as it is used: work that failed, was called back or pays nothing, jobs that
 * came to nothing when they were tried. So nobody holds a slot for nothing longer than UNPAID_LIMIT_MS. Kept in memory. `now`: ms, monotonic.
 */
export function createUnpaidTime(now: () => number) {
  const accounts = new Map<string, { left: number; at: number }>()

  function look(requester: string): { left: number; at: number } {
    const { left, at } = accounts.get(requester) ?? { left: UNPAID_LIMIT_MS, at: now() }
    const time = now()
    const forgiven = (Math.max(0, time - at) * FORGIVEN_PER_DAY_MS) / DAY_MS
    return { left: Math.min(UNPAID_LIMIT_MS, left + forgiven), at: time }
  }

  return {
    /** A slot was used; `priceMicro`: what the requester owes for it. */
    used(requester: string, usedMs: number, priceMicro: number): void {
      const unpaid = unpaidMs(usedMs, priceMicro)
      const account = look(requester)
      const earned = UNPAID_PER_PAID * (usedMs - unpaid)
      account.left = Math.min(UNPAID_LIMIT_MS, account.left + earned) - unpaid
      accounts.delete(requester)
      if (accounts.size >= MAX_REQUESTERS) accounts.delete(accounts.keys().next().value as string)
      accounts.set(requester, account)
    },

    /** Why nothing more is done for it, or undefined. `runningMs`: what it uses unpaid at this moment. */
    objection(requester: string, runningMs = 0): string | undefined {
      if (look(requester).left > runningMs) return
      return `you used ${UNPAID_LIMIT_MS / 1000} s of this node without paying for them; ${FORGIVEN_PER_DAY_MS / 1000} s are forgiven per day`
    }
  }
}

export type UnpaidTime = ReturnType<typeof createUnpaidTime>
