import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { createLogger, createNode, loadConfig } from '../../node/index.ts'

/*
 * A requester as a process: `power-client.ts DATA SEED SPECS` submits the specs of a file (JSON) one after the other, or goes
 * on with the job of an id, and prints as JSON lines what it was told: ready, then job, result and settled of each. It lends
 * nothing and ends by itself.
 */
const [data, seed, file] = process.argv.slice(2) as [string, string, string]
const print = (event: string, rest: object): boolean =>
  process.stdout.write(
    `${JSON.stringify({ event, ...rest }, (_, value) => (typeof value === 'bigint' ? String(value) : value))}\n`
  )

const config = loadConfig({ flags: { data, seeds: [seed], compute: false } })
const node = await createNode(config, { logger: createLogger(config) })
print('ready', { id: node.id, addresses: node.addresses(), pid: process.pid })
const signal = AbortSignal.timeout(240_000)
while (node.scheduler.workers().length === 0) await delay(25, undefined, { signal })
for (const what of JSON.parse(await readFile(file, 'utf8')) as (string | object)[]) {
  const job = typeof what === 'string' ? node.scheduler.job(what)! : await node.submit(what, { signal })
  print('job', { job: job.id })
  print('result', { job: job.id, digest: hash('sha256', await job.resultBytes({ signal })) })
  const { paid, total, shares } = await job.settled({ signal })
  print('settled', { job: job.id, paid, total, shares })
}
await node.stop()
