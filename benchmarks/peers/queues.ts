import { fileURLToPath } from 'node:url'
import { packageVersion } from '../harness/report.ts'
import { check, fromCall, type Peer, type PeerKind } from './contract.ts'
import { gearmanClient } from './gearman.ts'
import { FOLDER, GET, load } from './pools.ts'
import { createStage, freePort, type Stage, versionOf } from './processes.ts'

/** Queues with a server and two worker processes: a network, no walls, no encryption. */

const WORKERS = 2
const QUEUE_WORKER = fileURLToPath(new URL('queue-worker.ts', import.meta.url))

async function workers(stage: Stage, kind: string, port: number): Promise<void> {
  for (let i = 0; i < WORKERS; i++) await stage.worker(QUEUE_WORKER, kind, String(port))
}

/** Ends what was started when the start fails. */
async function staged(
  start: (stage: Stage) => Promise<Omit<Peer, typeof Symbol.asyncDispose>>
): Promise<Peer> {
  const stage = await createStage()
  try {
    return { ...(await start(stage)), [Symbol.asyncDispose]: stage.stop }
  } catch (error) {
    await stage.stop()
    throw error
  }
}

const bullmqWith = (name: string, lasting: string[]): PeerKind => ({
  name,
  get: `apt-get install redis-server; ${GET}`,
  tasks: 2000,
  async version() {
    return `${packageVersion(`${FOLDER}node_modules/bullmq`)} (redis ${await versionOf('redis-server', '--version')})`
  },
  start: () =>
    staged(async stage => {
      const port = await freePort()
      const quiet = ['--bind', '127.0.0.1', '--save', '', '--dir', stage.folder]
      await stage.server('redis-server', ['--port', String(port), ...quiet, ...lasting], port)
      await workers(stage, 'bullmq', port)
      const { Queue, QueueEvents } = await load('bullmq')
      const connection = { host: '127.0.0.1', port }
      const queue = new Queue('tiny', { connection, defaultJobOptions: { removeOnComplete: 10_000 } })
      stage.defer(() => queue.close())
      const events = new QueueEvents('tiny', { connection })
      stage.defer(() => events.close())
      await events.waitUntilReady()
      return {
        async throughput(tasks) {
          const results: unknown[] = []
          const done = Promise.withResolvers<void>()
          const completed = ({ returnvalue }: { returnvalue: unknown }): void => {
            if (results.push(returnvalue) === tasks) done.resolve()
          }
          events.on('completed', completed)
          const started = performance.now()
          await queue.addBulk(Array.from({ length: tasks }, () => ({ name: 'tiny', data: {} })))
          await done.promise
          const ms = performance.now() - started
          events.off('completed', completed)
          check(results)
          return ms
        },
        async latencies(tasks) {
          const samples: number[] = []
          for (let i = 0; i < tasks; i++) {
            const started = performance.now()
            const job = await queue.add('tiny', {})
            check([await job.waitUntilFinished(events)])
            samples.push(performance.now() - started)
          }
          return samples
        }
      }
    })
})

const bullmq = bullmqWith('bullmq', ['--appendonly', 'no'])

const nats: PeerKind = {
  name: 'nats',
  get: `apt-get install nats-server; ${GET}`,
  tasks: 20_000,
  async version() {
    return `${packageVersion(`${FOLDER}node_modules/nats`)} (server ${await versionOf('nats-server', '--version')})`
  },
  start: () =>
    staged(async stage => {
      const port = await freePort()
      await stage.server('nats-server', ['--addr', '127.0.0.1', '--port', String(port)], port)
      await workers(stage, 'nats', port)
      const { connect, JSONCodec } = await load('nats')
      const connection = await connect({ servers: `127.0.0.1:${port}` })
      stage.defer(() => connection.close())
      const codec = JSONCodec()
      const call = async () =>
        codec.decode((await connection.request('tiny', undefined, { timeout: 10_000 })).data)
      return fromCall(call, { atOnce: 256, stop: stage.stop })
    })
}

const gearman: PeerKind = {
  name: 'gearman',
  get: 'apt-get install gearman-job-server',
  tasks: 10_000,
  version: () => versionOf('gearmand', '--version'),
  start: () =>
    staged(async stage => {
      const port = await freePort()
      const log = `${stage.folder}/log`
      await stage.server(
        'gearmand',
        ['--listen', '127.0.0.1', '--port', String(port), '--log-file', log],
        port
      )
      await workers(stage, 'gearman', port)
      const client = await gearmanClient(port)
      stage.defer(() => client.close())
      return fromCall(() => client.submit('tiny'), { atOnce: 256, stop: stage.stop })
    })
}

export const queues: PeerKind[] = [bullmq, nats, gearman]

/** As it is, and where Redis waits for the disk before it answers. */
export const bullmqs: PeerKind[] = [
  bullmq,
  bullmqWith('bullmq, saving', ['--appendonly', 'yes', '--appendfsync', 'always'])
]
