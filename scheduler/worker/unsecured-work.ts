import type { Ledger } from '../../ledger/index.ts'
import { CREDIT_MICRO } from '../market/price.ts'

/** Work for one requester with no certified escrow behind it: 1 % of a grant, 100 CPU seconds at the base price. */
export const WORD_LIMIT_MICRO = CREDIT_MICRO
/** Jobs of one requester that are remembered; their names are a stranger's. */
const WORD_LIMIT_JOBS = 4_000

/**
 * What this node has done for requesters on their word alone. While a requester reaches no
 * witness its jobs run all the same, and its signed orders are certified when it does; until then it can owe this
 * node the limit, and what is under way, but not more. Kept in memory: a requester cannot make this node forget.
 */
export function createCredit(ledger: Pick<Ledger, 'escrowOf'>) {
  /** by requester: what was earned with jobs that are not known to be settled, and an upper bound of what is owed */
  const accounts = new Map<string, { jobs: Map<string, bigint>; atMost: bigint }>()

  /** Adds up what no certified escrow is large enough for; forgets what is settled. */
  function review(requester: string): void {
    const account = accounts.get(requester)!
    account.atMost = 0n
    for (const [job, earned] of account.jobs) {
      const escrow = ledger.escrowOf(requester, job)
      const bound = escrow?.bound ?? 0n
      if (earned > bound) account.atMost += earned - bound
      else if (escrow?.isOpen === false) account.jobs.delete(job)
    }
    if (account.jobs.size === 0) accounts.delete(requester)
  }

  return {
    /** A slice of a job was done for this many micro-credits. */
    earned(requester: string, job: string, amount: number): void {
      const account = accounts.get(requester) ?? { jobs: new Map<string, bigint>(), atMost: 0n }
      accounts.set(requester, account)
      account.jobs.set(job, (account.jobs.get(job) ?? 0n) + BigInt(amount))
      account.atMost += BigInt(amount)
    },

    /** Whether a certified escrow holds so many micro-credits beside what was done for the job before. */
    secures(requester: string, job: string, amount: number): boolean {
      const { bound, isOpen } = ledger.escrowOf(requester, job) ?? { bound: 0n, isOpen: false }
      const earned = accounts.get(requester)?.jobs.get(job) ?? 0n
      return amount > 0 && isOpen && earned + BigInt(amount) <= bound
    },

    /** To be called now and then: the ledger remembers what is settled only until the day is over. */
    refresh(): void {
      for (const requester of accounts.keys()) review(requester)
    },

    /** Why nothing more is done for this requester, or undefined. */
    objection(requester: string): string | undefined {
      const account = accounts.get(requester)
      if (account == null || (account.atMost < WORD_LIMIT_MICRO && account.jobs.size < WORD_LIMIT_JOBS))
        return
      review(requester)
      if (account.atMost >= WORD_LIMIT_MICRO)
        return `no witness has certified an escrow for ${account.atMost} micro-credits of work that was done for you`
      if (account.jobs.size >= WORD_LIMIT_JOBS)
        return `${account.jobs.size} jobs of yours are not settled yet`
    }
  }
}

export type Credit = ReturnType<typeof createCredit>

/** For networks of friends, where work needs no security. */
export const UNLIMITED: Credit = {
  earned: () => undefined,
  secures: () => true,
  refresh: () => undefined,
  objection: () => undefined
}
