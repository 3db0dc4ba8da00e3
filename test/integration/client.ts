import { createLogger, createNode, createOperations, loadConfig, serveControl } from '../../node/index.ts'
import type { Job } from '../../scheduler/index.ts'

/*
 * A requester as a process: `client.ts DATA SEED SPEC-OR-JOB [unreachable]` submits a spec (JSON) or goes on with a job by
 * its id, and prints JSON lines: ready, job, progress, end. It lends nothing, answers on its control socket, and stays
 * until SIGINT. `unreachable`: it listens nowhere, so that every connection is one that it made.
 */
const [data, seed, text, unreachable] = process.argv.slice(2) as [string, string, string, string?]
const what = JSON.parse(text) as string | object
const print = (event: object): boolean =>
  process.stdout.write(
    `${JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`
  )

const reach = unreachable == null ? {} : { listen: [] }
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
