import { hasTags, type Lack, lacks } from '../market/match.ts'
import type { Leases } from './leases.ts'
import type { CoordinatorState, JobEntry, Unplaced, WorkerEntry } from './state.ts'
import type { Standing } from './worker-trust.ts'

/**
 * What keeps a worker from a job. `answered`: it or its owner had these units; `reserve`: this node, which lends nothing and
 * computes only where nobody else can; `busy`: nothing but other work.
 */
export type Obstacle =
  | Lack
  | 'privacy'
  | 'price'
  | 'excluded'
  | 'answered'
  | 'silent'
  | 'disputed'
  | 'refused'
  | 'reserve'
  | 'busy'

/** A worker and what keeps it from a job. */
export interface Kept {
  worker: string
  own: boolean
  by: Obstacle
  /** when that is over, where time ends it */
  until?: number
  /** micro-credits per CPU second that the job brings, where that is too little */
  pays?: number
}

/** Why workers get nothing of a job: the rules of placement, and the words for them. */
export function createObstacles(
  { workers, jobs, short }: CoordinatorState,
  {
    leases,
    standing
  }: { leases: Pick<Leases, 'pays' | 'perCpuSecond'>; standing: Pick<Standing, 'barredUntil'> }
) {
  /** What no waiting changes; undefined: it may take units of the job. */
  function obstacle(job: JobEntry, worker: WorkerEntry): Obstacle | undefined {
    const { needs } = job
    const { serves, own } = worker
    // the owner's own machine is lent to nobody: its limits are for others
    if (own) return needs == null || serves == null || hasTags(needs, serves) ? undefined : 'tags'
    if (job.allowed?.has(worker.id) === false) return 'privacy'
    const lack = needs && serves && lacks(needs, serves)
    if (lack != null) return lack
    if (!leases.pays(job, worker)) return 'price'
    return standing.barredUntil(job, worker) == null ? undefined : 'excluded'
  }

  const kept = (job: JobEntry, worker: WorkerEntry, next?: Unplaced): Kept => ({
    worker: worker.id,
    own: worker.own === true,
    ...keptBy(job, worker, next)
  })

  function keptBy(job: JobEntry, worker: WorkerEntry, next?: Unplaced): Omit<Kept, 'worker' | 'own'> {
    const by = obstacle(job, worker)
    if (by === 'excluded') return { by, until: standing.barredUntil(job, worker) }
    if (by === 'price') return { by, pays: leases.perCpuSecond(job, worker) }
    if (by != null) return { by }
    if (next != null && hasHad(next, worker)) return { by: 'answered' }
    if (worker.silent) return { by: 'silent' }
    if (worker.disputed.size > 0) return { by: 'disputed' }
    if (worker.refusals > 0) return { by: 'refused', until: worker.pausedUntil }
    return { by: worker.lastResort ? 'reserve' : 'busy' }
  }

  return {
    obstacle,

    /** What keeps every worker from a job, whether something of it is at work or not. */
    kept(id: string): Kept[] {
      const job = jobs.get(id)
      return job == null ? [] : [...workers.values()].map(worker => kept(job, worker))
    },

    /** What keeps every worker from a job of which nothing is at work; undefined while something is. */
    waits(id: string): Kept[] | undefined {
      const job = jobs.get(id)
      if (job == null) return
      const isAtWork = (worker: string): boolean => (workers.get(worker)?.refusals ?? 0) === 0
      for (const { leases: held } of job.slices.values()) if ([...held.keys()].some(isAtWork)) return
      const isFresh = job.cursor < job.units
      const next = isFresh
        ? undefined
        : (job.returned.map(interval => ({ ...interval, job })).at(-1) ??
          [...job.slices.values()].find(slice => short.has(slice)))
      const all: Kept[] = []
      for (const worker of workers.values()) {
        const each = kept(job, worker, next)
        // of many jobs in a queue each is asked for; this is all that there is to say
        if (each.by === 'busy') return [each]
        all.push(each)
      }
      return all
    }
  }
}

export type Obstacles = ReturnType<typeof createObstacles>

/** true for who has, had or answered these units, or belongs to an owner who did */
function hasHad({ tried, leases, votes }: Unplaced, { id, group }: WorkerEntry): boolean {
  const answers = [...(votes?.values() ?? [])].flat()
  return (
    tried.has(id) ||
    leases?.has(id) === true ||
    answers.some(vote => vote.worker === id || vote.group === (group ?? id))
  )
}
