import { createLogger, createNode, loadConfig } from '../../node/index.ts'
import type { Job } from '../../scheduler/index.ts'

/*
 * A requester as a process: `client.ts DATA SEED SPEC-OR-JOB` submits a spec (JSON) or goes on with a job by its id,
 * and prints JSON lines: ready, job, progress, end. It lends nothing and stays until SIGINT.
 */
const [, , data, seed, text] = process.argv as [string, string, string, string, string]
const what = JSON.parse(text) as string | object
const print = (event: object): boolean =>
  process.stdout.write(
    `${JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`
  )

const config = loadConfig({ flags: { data, seeds: [seed], compute: false } })
const node = await createNode(config, { logger: createLogger(config) })
process.on('SIGINT', () => void node.stop().then(() => process.exit(0)))
print({ event: 'ready', id: node.id, addresses: node.addresses(), pid: process.pid })

const signal = AbortSignal.timeout(120_000)
const job: Job = typeof what === 'string' ? node.scheduler.job(what)! : await node.submit(what, { signal })
job.addEventListener('progress', ({ detail }) => print({ event: 'progress', ...detail }))
const { done, total } = job.report()
print({ event: 'job', job: job.id, done, total })
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
