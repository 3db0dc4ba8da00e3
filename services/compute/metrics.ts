import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { JobReport, Scheduler } from '../../scheduler/index.ts'

/** From a tiny task on this machine to a job of a day. */
const JOB_SECONDS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 10_000, 100_000]

/** Figures of jobs and workers for Prometheus; the answer ends it. Documented by `services/gateway/grafana.json`. */
export function watchJobs(
  registry: Registry,
  scheduler: Pick<Scheduler, 'addEventListener' | 'forecast' | 'removeEventListener' | 'workDone' | 'workers'>
): () => void {
  const registers = [registry]
  const submitted = new Counter({ name: 'jobs_submitted_total', help: 'own jobs submitted', registers })
  const seconds = new Histogram({
    name: 'job_duration_seconds',
    help: 'own jobs from submit to end',
    labelNames: ['state'],
    buckets: JOB_SECONDS,
    registers
  })
  const retries = new Counter({
    name: 'job_retries_total',
    help: 'leases of own jobs that were lost, failed or expired',
    registers
  })
  const gauge = (name: string, help: string, collect: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(collect())
      }
    })
  }
  gauge('workers', 'workers known', () => scheduler.workers().length)
  gauge('worker_slots', 'slots of the workers known', () =>
    scheduler.workers().reduce((sum, { slots }) => sum + slots, 0)
  )
  gauge('leased_slices', 'slices of own jobs at workers now', () =>
    scheduler.workers().reduce((sum, { leased }) => sum + leased, 0)
  )
  gauge('lent_slices_running', 'slices of others that run here now', () => scheduler.workDone().running)
  gauge('lent_slices_today', 'slices done for others since midnight', () => scheduler.workDone().slices)
  gauge(
    'lent_cpu_seconds_today',
    'time in the sandbox for others since midnight',
    () => scheduler.workDone().cpuMs / 1000
  )
  gauge('market_factor', 'price level; 1 is the base price', () => scheduler.forecast().now)

  const onAdd = (): void => submitted.inc()
  const onEnd = ({ detail }: CustomEvent<JobReport>): void => {
    seconds.observe(
      { state: detail.state },
      ((detail.finished ?? detail.submitted) - detail.submitted) / 1000
    )
    retries.inc(detail.retries)
  }
  scheduler.addEventListener('job:add', onAdd)
  scheduler.addEventListener('job:end', onEnd)
  return () => {
    scheduler.removeEventListener('job:add', onAdd)
    scheduler.removeEventListener('job:end', onEnd)
  }
}
