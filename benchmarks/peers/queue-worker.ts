import { gearmanWorker } from './gearman.ts'
import { load } from './pools.ts'

/** A worker process of a queue: `queue-worker.ts KIND PORT`. Sends one message when it is ready. */

const { default: tiny } = await load('./tiny.js')
const [kind, portText] = process.argv.slice(2)
const port = Number(portText)

const start: Record<string, () => Promise<void>> = {
  async bullmq() {
    const { Worker } = await load('bullmq')
    const worker = new Worker('tiny', async () => tiny(), {
      connection: { host: '127.0.0.1', port },
      concurrency: 64
    })
    await worker.waitUntilReady()
  },
  async nats() {
    const { connect, JSONCodec } = await load('nats')
    const connection = await connect({ servers: `127.0.0.1:${port}` })
    const codec = JSONCodec()
    connection.subscribe('tiny', {
      queue: 'workers',
      callback: (_: unknown, message: { respond(data: Uint8Array): void }) =>
        message.respond(codec.encode(tiny()))
    })
    await connection.flush()
  },
  gearman: () => gearmanWorker(port, 'tiny', tiny)
}

await start[kind!]!()
process.send!('ready')
process.once('disconnect', () => process.exit())
