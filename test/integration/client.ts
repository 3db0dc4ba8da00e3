import { setTimeout as delay } from 'node:timers/promises'
import { createLogger, createNode, createOperations, loadConfig, serveControl } from '../../node/index.ts'
import type { Job } from '../../scheduler/index.ts'

/** A moment in the life of a job: all of it must be so. */
export interface Moment {
  /** that part of it is done */
  share?: number
  /** so many hold leases */
  workers?: number
  /** leases were taken back so often */
  retries?: number
}

export interface ClientInit {
  /** it listens nowhere, so that every connection is one that it made */
  unreachable?: boolean
  /** how many it must know before it submits */
  workers?: number
  /** when it stops itself (SIGSTOP), one after the other: nothing goes on while the test does something */
  pauses?: Moment[]
}

/*
 * A requester as a process: `client.ts DATA SEED SPEC-OR-JOB INIT` submits a spec (JSON) or goes on with a job by its
 * id, and prints JSON lines: ready, job, progress, end. It lends nothing, answers on its control socket, and stays
 * until SIGINT.
 */
const [data, seed, text, init] = process.argv.slice(2) as [string, string, string, string]
const what = JSON.parse(text) as string | object
const { unreachable = false, workers = 0, pauses = [] }: ClientInit = JSON.parse(init)
const print = (event: object): boolean =>
  process.stdout.write(
    `${JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`
  )

const reach = unreachable ? { listen: [] } : {}
const config = loadConfig({ flags: { data, seeds: [seed], compute: false, ...reach } })
const node = await createNode(config, { logger: createLogger(config) })
const closeControl = await serveControl(data, createOperations(node))
process.on('SIGINT', async () => {
  await closeControl()
  await node.stop()
  process.exit(0)
})
print({ event: 'ready', id: node.id, addresses: node.addresses(), pid: process.pid })

const signal = AbortSignal.timeout(600_000)
while (node.scheduler.workers().length < workers) await delay(25, undefined, { signal })
const job: Job = typeof what === 'string' ? node.scheduler.job(what)! : await node.submit(what, { signal })

function pause(now: { done: number; total: number; workers?: number; retries?: number }): void {
  const [next] = pauses
  if (next == null || now.done < (next.share ?? 0) * now.total) return
  if ((now.workers ?? 0) < (next.workers ?? 0) || (now.retries ?? 0) < (next.retries ?? 0)) return
  pauses.shift()
  process.kill(process.pid, 'SIGSTOP')
}

job.addEventListener('progress', ({ detail }) => {
  print({ event: 'progress', ...detail })
  pause(detail)
})
const { done, total } = job.report()
print({ event: 'job', job: job.id, done, total })
pause({ done, total })
try {
  const result = await job.result({ signal })
  print({ event: 'end', result, report: await job.settled({ signal }) })
} catch (error) {
  print({
    event: 'end',
    error: (error as Error).name,
    message: (error as Error).message,
    report: job.report()
  })
}
