import type { Logger } from '@libp2p/interface'
import { isWorkSigned, type Ledger, type SignedWork } from '../../ledger/index.ts'
import type { Failure } from '../../sandbox/index.ts'
import type { Answer } from '../coordinator/contract.ts'
import type { Coordinator } from '../coordinator/coordinator.ts'
import type { SliceResult } from '../protocol/compute-messages.ts'
import { heard } from '../tasks/contract.ts'
import { digestOf } from '../trust/answer-digest.ts'
import type { Runs } from './running-jobs.ts'

interface WeighComponents {
  coordinator: Pick<Coordinator, 'held'>
  runs: Pick<Runs, 'part'>
  ledger: Pick<Ledger, 'account' | 'network'>
  log: Logger
}

/** An answer as the coordinator takes it; nothing for one that is late or was never asked for. */
export function weighAnswer(
  worker: string,
  result: SliceResult,
  { coordinator, runs, ledger, log }: WeighComponents
): { slice: number; answer: Answer }[] {
  const held = coordinator.held(result.id, worker)
  const entry = held && runs.part(held.job)
  if (held == null || entry == null) return []
  const digest = digestOf(result.outcomes)
  const slices = [{ slice: result.id, digest, amount: held.price }]
  const proof: SignedWork = { worker, slices, signature: result.signature }
  if (worker !== ledger.account && !isWorkSigned(ledger.network, entry.job.handle.id, proof)) {
    const failure: Failure = { name: 'invalid-result', message: `the answer is not signed by ${worker}` }
    return [{ slice: result.id, answer: { failure, ms: result.ms } }]
  }
  const packed = entry.part.pack(result.outcomes, held.count, held.first)
  if (!(packed instanceof Uint8Array))
    return [{ slice: result.id, answer: { failure: heard(packed, result.said), ms: result.ms } }]
  const { first } = held
  const { cut } = entry.part
  const part =
    cut &&
    ((unit: number, units: number) => {
      try {
        return nameOf(digestOf(cut(result.outcomes, unit - first, units)))
      } catch (err) {
        // it is not of the form that it should have: no audit will agree with it
        log('%s sent no list: %s', worker, (err as Error).message)
        return 'malformed'
      }
    })
  const { ms } = result
  const answer = { digest: nameOf(digest), payload: packed, bytes: packed.length, ms, proof, part }
  return [{ slice: result.id, answer }]
}

const nameOf = (digest: Uint8Array): string => Buffer.from(digest).toString('base64url')
