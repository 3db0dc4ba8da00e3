import { createLogger, createNode, loadConfig } from '../../../node/index.ts'
import { work } from '../../integration/work.ts'

/* An honest requester: `honest.ts DATA SEED`. Runs one small job after the other and prints a line for each. */
const [data, seed] = process.argv.slice(2) as [string, string]
const ITEMS = 5_000

const config = loadConfig({ flags: { data, seeds: [seed], compute: false } })
await using node = await createNode(config, { logger: createLogger(config) })
const print = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`)
print({ event: 'ready', id: node.id, addresses: node.addresses(), pid: process.pid })
for (;;) {
  const job = await node.submit(work('none', ITEMS))
  try {
    await job.result({ signal: AbortSignal.timeout(60_000) })
    print({ event: 'done', items: ITEMS, at: Date.now() })
  } catch (error) {
    print({ event: 'failed', message: (error as Error).message })
  }
}
