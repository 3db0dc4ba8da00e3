import { costOf, HOUR_MS } from './rent.ts'

/** What a host says of itself, and what is known of it. */
export interface Candidate {
  peer: string
  freeMb: number
  accelerator: string
  /** micro-credits for each GB and hour */
  ramGbHour: number
  diskGbHour: number
  /** of its owner, from the ledger: 0 to 1 */
  reputation: number
}

/** What is asked for. */
export interface Wanted {
  ramMb: number
  diskGb: number
  /** micro-credits that may be spent for an hour of both */
  mostAnHour: number
}

/** A host without KVM is many times slower. */
const TCG_FACTOR = 0.1

/** Hosts that can take the machine, the best first: trust for the credits, with room to spare. */
export function place(candidates: readonly Candidate[], wanted: Wanted): Candidate[] {
  const { ramMb, mostAnHour } = wanted
  const cost = (host: Candidate) => costOf(wanted, host, HOUR_MS)
  const worth = (host: Candidate) => {
    const speed = host.accelerator === 'kvm' ? 1 : TCG_FACTOR
    const spare = (host.freeMb - ramMb) / host.freeMb
    // a stranger gets half of what the best known gets
    const trust = (1 + host.reputation) / 2
    return (speed * trust * (1 + spare)) / (1 + cost(host))
  }
  return candidates
    .filter(host => host.freeMb > ramMb && cost(host) <= mostAnHour)
    .sort((a, b) => worth(b) - worth(a) || (a.peer < b.peer ? -1 : 1))
}
