import type { Logger } from '@libp2p/interface'
import type { SignedWork } from '../../ledger/index.ts'
import type { Accepted, Effects } from '../coordinator/contract.ts'
import type { Store } from '../store/job-store.ts'
import type { Trust } from '../trust/credibility.ts'
import type { JobHandle } from './job-handle.ts'
import type { RunningPart } from './running-job.ts'

/** What the coordinator accepts, pays and takes back: in the job, and on disk before anybody is told of it. */
export function createAccepted(
  { cannotStore }: { cannotStore(job: JobHandle, err: Error): void },
  {
    parts,
    store,
    log
  }: {
    /** by the coordinator's names */
    parts: ReadonlyMap<string, RunningPart>
    store: Store
    log: Logger
  }
) {
  const running = (id: string) => {
    const { job, ...rest } = parts.get(id)!
    return { ...rest, job: job.handle }
  }

  /** On disk at the end of this turn. Where this node cannot write, the job ends. */
  function keep(job: JobHandle, write: () => void): void {
    store.later(job.id, write).catch(err => cannotStore(job, err))
  }

  function trust(key: string, known: Trust): void {
    store
      .later(key, () => store.setTrust(key, known))
      // the coordinator remembers it; after a restart there is a little less
      .catch(err => log.error('what is known of a worker could not be written: %e', err))
  }

  function accept(accepted: Accepted): 'stored' | 'malformed' {
    const { slice, first, count, paid, assurance } = accepted
    const { job, part, index } = running(accepted.job)
    const value = accepted.payload as Uint8Array
    const works = accepted.proofs as SignedWork[]
    try {
      part.reducer.add(
        first,
        count,
        value,
        paid.map(({ worker }) => worker)
      )
    } catch (err) {
      log.error('a result of %s for job %s is malformed: %e', paid[0]?.worker, job.id, err)
      return 'malformed'
    }
    store
      .keepSlice(job.id, { part: index, first, count, slice, value, paid, works, assurance })
      .catch(err => cannotStore(job, err))
    for (const { worker, price } of paid) job.addShare(worker, count, price)
    job.addDone(count, assurance)
    return 'stored'
  }

  function pay({ job: id, first, count, worker, price, proof }: Parameters<Effects['pay']>[0]): void {
    const { job, index } = running(id)
    const works = proof == null ? [] : [proof as SignedWork]
    keep(job, () => store.addCanary(job.id, { part: index, first }, { worker, price, works }))
    job.addShare(worker, count, price)
    job.addCanary(count)
  }

  /** Rare: what was reduced already contains the doubtful result, so everything else is reduced again. */
  function retract({ job: id, first, count }: { job: string; first: number; count: number }): void {
    const { job, part, index } = running(id)
    try {
      store.removeSlice(job.id, index, first)
    } catch (err) {
      // as soon as the coordinator has taken its step
      queueMicrotask(() => cannotStore(job, err as Error))
      return
    }
    part.reducer = part.createReducer()
    for (const { part: other, paid, ...slice } of store.slices(job.id)) {
      if (other !== index) continue
      const workers = paid.map(({ worker }) => worker)
      part.reducer.add(slice.first, slice.count, slice.value, workers)
    }
    job.takeBack(count, store.shares(job.id), store.verification(job.id))
  }

  return { keep, accept, pay, retract, trust }
}
