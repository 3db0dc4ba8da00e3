import type { Ledger } from '../../ledger/index.ts'
import type { Escrow } from '../../services/index.ts'

/** As many as one request may name; who works for more jobs at once hears of the others later. */
const MAX_ASKED = 64
const MAX_KNOWN = 4_000
/** What the node answers to (services/gateway/http/volunteer.ts). A requester may call a job what he likes, and no name of his must keep the answers about others away. */
const NAME = /^\w{1,64}\/[\w-]{1,64}$/

/**
 * What is known of the jobs that this tab worked for, by the word of the node that served its page: without it a requester
 * would have one credit of work and then nothing more, for a tab sees no job settled. What was asked for is learnt at the
 * next `refresh`, and what is kept of it is bounded. `ask`: `ACCOUNT/JOB`, each answered in its place.
 */
export function createEscrows(ask: (asked: readonly string[]) => Promise<(Escrow | null)[]>) {
  const known = new Map<string, { bound: bigint; isOpen: boolean }>()
  const wanted = new Set<string>()
  const ledger: Pick<Ledger, 'escrowOf'> = {
    escrowOf(account, job) {
      const name = `${account}/${job}`
      const escrow = known.get(name)
      // what is settled stays so
      if (escrow?.isOpen !== false && wanted.size < MAX_KNOWN && NAME.test(name)) wanted.add(name)
      return escrow
    }
  }
  return {
    ...ledger,
    async refresh(): Promise<void> {
      const asked = [...wanted].slice(0, MAX_ASKED)
      if (asked.length === 0) return
      const answers = await ask(asked)
      for (const [i, name] of asked.entries()) {
        // to the end of the line, if somebody still wants to know
        wanted.delete(name)
        known.delete(name)
        const escrow = answers[i]
        if (escrow != null) known.set(name, { bound: BigInt(escrow.bound), isOpen: escrow.isOpen })
      }
      for (const name of known.keys()) {
        if (known.size <= MAX_KNOWN) break
        known.delete(name)
      }
    }
  }
}
