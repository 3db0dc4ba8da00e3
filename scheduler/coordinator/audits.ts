import type { Vote } from './contract.ts'
import type { Leases } from './leases.ts'
import type { Audit, CoordinatorState, Slice } from './state.ts'

/** Looks at a slice again. */
export type Judge = (slice: Slice) => void

/** A few units of an answer, calculated again by this node. */
export function createAudits(
  { judge, random }: { judge: Judge; random: () => number },
  {
    state: { workerOf, audits },
    leases: { drop, dropAudits, review, addSlice }
  }: { state: Pick<CoordinatorState, 'workerOf' | 'audits'>; leases: Leases }
) {
  /** The answer is there and signed: only now it is drawn which units of it are calculated again. */
  function audit(slice: Slice, vote: Vote): void {
    const { job, first, count } = slice
    const drawn = new Set<number>()
    while (drawn.size < Math.min(slice.toAudit, count)) drawn.add(first + Math.floor(random() * count))
    for (const unit of drawn) {
      const each = addSlice(job, { first: unit, count: 1, failures: 0, losses: 0, tried: new Set() }, 1)
      each.checks = { of: slice, vote, digest: vote.part!(unit, 1) }
      slice.audits.add(each)
      audits.add(each)
      review(each)
    }
  }

  function audited(slice: Slice, { of, vote, digest }: Audit, found: Vote): void {
    drop(slice, false)
    if (found.digest === digest) {
      vote.audited++
      if (of.audits.size === 0) judge(of)
      return
    }
    dropAudits(of)
    of.doubted = true
    of.wanted = 2
    workerOf(vote.worker)?.disputed.add(of.id)
    judge(of)
  }

  return { audit, audited }
}
