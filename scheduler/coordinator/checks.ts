import { stumbled } from '../trust/credibility.ts'
import { createAudits, type Judge } from './audits.ts'
import { type Condemn, createCanaries } from './canaries.ts'
import type { Effects, Vote } from './contract.ts'
import type { Leases } from './leases.ts'
import type { CoordinatorState, Slice } from './state.ts'
import type { Standing } from './worker-trust.ts'

/** What is calculated for no other reason than to know who can be believed: audits and canaries. */
export function createChecks(
  { judge, condemn, random }: { judge: Judge; condemn: Condemn; random: () => number },
  components: {
    state: CoordinatorState
    effects: Pick<Effects, 'pay' | 'retract'>
    leases: Leases
    standing: Standing
  }
) {
  const { leases, standing } = components
  const { audit, audited } = createAudits({ judge, random }, components)
  const { learn, canaryFor, sang, reopen } = createCanaries({ condemn, random }, components)

  return {
    audit,
    learn,
    canaryFor,
    reopen,

    answered(slice: Slice, vote: Vote): void {
      const { checks } = slice
      if (checks == null) return
      if ('of' in checks) audited(slice, checks, vote)
      else sang(slice, checks, vote)
    },

    /** Nobody will answer this check. `failedBy`: who could not. */
    vanished(slice: Slice, failedBy?: string): void {
      const { checks, job } = slice
      leases.drop(slice, true)
      if (checks == null) return
      if ('of' in checks) {
        // nothing is known: the slice needs somebody who answers all of it
        leases.dropAudits(checks.of)
        checks.of.wanted = 2
        judge(checks.of)
      } else if (failedBy != null) standing.setTrust(job, failedBy, stumbled)
    }
  }
}

export type CoordinatorChecks = ReturnType<typeof createChecks>
