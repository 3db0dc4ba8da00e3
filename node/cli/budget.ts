import { BudgetError } from '../errors.ts'

/**
 * Shares what may be spent among jobs that run at the same time, at most `jobs` of them: each gets a bound, and what it
 * does not spend comes back for the next. Micro-credits.
 */
export function createBudget(total: bigint, jobs: number) {
  const share = total / BigInt(jobs)
  let left = total
  let open = 0
  let changed = Promise.withResolvers<void>()

  return {
    /**
     * The bound of the next job; waits for what others may give back.
     *
     * @throws {BudgetError} everything is spent
     */
    async take(): Promise<bigint> {
      while (left === 0n && open > 0) await changed.promise
      if (left === 0n) throw new BudgetError('--max-price is used up; give more of it')
      const bound = share > 0n && share < left ? share : left
      left -= bound
      open++
      return bound
    },
    /** The job with this bound has ended. */
    end(bound: bigint, paid: bigint): void {
      left += bound - paid
      open--
      changed.resolve()
      changed = Promise.withResolvers()
    }
  }
}
