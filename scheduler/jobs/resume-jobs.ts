import type { Logger } from '@libp2p/interface'
import { encodeValue } from '../../sandbox/index.ts'
import type { Data } from '../data/chunked-data.ts'
import { datasetIn, findReferences } from '../data/references.ts'
import type { StoredJob } from '../store/job-rows.ts'
import type { Store } from '../store/job-store.ts'
import { batchWork, createWork } from '../tasks/job-parts.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { JobHandle } from './job-handle.ts'
import type { DataAccess, Resolved } from './resolve-data.ts'
import type { Runs } from './running-jobs.ts'
import type { Settlement } from './settle-job.ts'

export interface ResumeComponents {
  store: Store
  data: Pick<DataAccess, 'resolve'>
  runs: Pick<Runs, 'track' | 'run' | 'settle' | 'broke' | 'expire'>
  settlement: Pick<Settlement, 'hold'>
  log: Logger
}

/** After a restart: unfinished jobs go on with what was accepted, ended ones are settled. One that is damaged fails alone. */
export function resumeJobs({ store, data, runs, settlement, log }: ResumeComponents): void {
  for (const stored of store.openJobs())
    resume(stored).catch(err => {
      log.error('job %s cannot go on: %e', stored.id, err)
      runs.broke(track(stored), err)
    })

  function track(
    stored: StoredJob,
    known: { specs?: TaskSpec[]; total?: number; data?: Data[] } = {}
  ): JobHandle {
    const { id } = stored
    const done = store.spans(id).reduce((sum, { count }) => sum + count, 0)
    return runs.track({
      ...stored,
      specs: [],
      ...known,
      // failure costs the requester nothing, also when it comes to paying only now
      shares: stored.state === 'failed' ? [] : store.shares(id),
      verification: stored.end?.verification ?? store.verification(id),
      done,
      total: known.total ?? done
    })
  }

  /** Throws DamagedJobError, and what the data of a spec throws. */
  async function resume(stored: StoredJob): Promise<void> {
    if (stored.finished != null) {
      const { id, state, failure } = stored
      const isLost = state === 'completed' && failure == null && !store.hasResult(id)
      if (!isLost) {
        await runs.settle(track(stored))
        return
      }
      log('the result of job %s was lost with the power: it is calculated again', id)
      store.reopen(id)
      return resume(store.job(id)!)
    }
    const specs = store.specs(stored.id)
    const slices = store.slices(stored.id)
    const isSingle = stored.type !== 'batch'
    const expires = stored.submitted + (specs[0]!.deadline ?? Number.POSITIVE_INFINITY)
    // nothing is awaited for a job whose data is inline: it is there when the scheduler has started
    let resolved: Omit<Resolved<TaskSpec>, 'stored'> = { spec: specs[0]!, bytes: 0 }
    if (isSingle && (findReferences(specs[0]).length > 0 || datasetIn(specs[0]) != null))
      try {
        resolved = await data.resolve(specs[0], spec => spec as TaskSpec, { expires })
      } catch (err) {
        if (Date.now() < expires) throw err
        runs.expire(track(stored, { specs }))
        return
      }
    const specBytes = encodeValue(specs).length + resolved.bytes
    const work = isSingle ? createWork(resolved.spec, specBytes) : batchWork(specs, specBytes)
    const job = track(stored, { specs, total: work.total, data: resolved.data })
    // an escrow that nothing is left for ends the job when a peer is to work for it
    settlement
      .hold(job.id, stored.bound)
      .catch(err => log('nothing is kept back for job %s: %e', job.id, err))
    const { done, total } = job.report()
    log('job %s goes on: %d of %d units are done', job.id, done, total)
    runs.run(job, work, slices)
  }
}
