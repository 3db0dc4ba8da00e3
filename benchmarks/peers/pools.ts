import { fileURLToPath } from 'node:url'
import { packageVersion } from '../harness/report.ts'
import { fromCall, type PeerKind } from './contract.ts'

/** Thread pools of npm: no network and no walls. */

const TINY = fileURLToPath(new URL('tiny.js', import.meta.url))
const TINY_WORKERPOOL = fileURLToPath(new URL('tiny-workerpool.js', import.meta.url))
const THREADS = 2
// Enough that no thread waits for the next task.
const AT_ONCE = 1024

export const FOLDER = fileURLToPath(new URL('.', import.meta.url))
export const GET = 'npm ci --prefix benchmarks/peers'

// Loaded by name at run time: peers are no dependencies, so there are no types for the compiler to find.
// biome-ignore lint/suspicious/noExplicitAny: see above
export const load = (name: string): Promise<any> => import(name)

function pool(
  name: string,
  create: (module: never) => { call: () => Promise<unknown>; stop: () => Promise<void> }
): PeerKind {
  return {
    name,
    get: GET,
    tasks: 50_000,
    version: async () => packageVersion(`${FOLDER}node_modules/${name}`),
    async start() {
      const { call, stop } = create((await load(name)) as never)
      return fromCall(call, { atOnce: AT_ONCE, stop })
    }
  }
}

interface Tinypool {
  run(task: unknown): Promise<unknown>
  destroy(): Promise<void>
}
type TinypoolClass = new (options: object) => Tinypool

export const pools: PeerKind[] = [
  pool('piscina', ({ Piscina }: { Piscina: TinypoolClass }) => {
    const piscina = new Piscina({
      filename: TINY,
      minThreads: THREADS,
      maxThreads: THREADS,
      concurrentTasksPerWorker: 64
    })
    return { call: () => piscina.run(undefined), stop: () => piscina.destroy() }
  }),
  pool('tinypool', ({ Tinypool }: { Tinypool: TinypoolClass }) => {
    const tinypool = new Tinypool({
      filename: TINY,
      minThreads: THREADS,
      maxThreads: THREADS,
      concurrentTasksPerWorker: 64
    })
    return { call: () => tinypool.run(undefined), stop: () => tinypool.destroy() }
  }),
  pool(
    'workerpool',
    (module: {
      default: {
        pool(
          file: string,
          options: object
        ): { exec(name: string): PromiseLike<unknown>; terminate(): PromiseLike<unknown> }
      }
    }) => {
      const workerpool = module.default.pool(TINY_WORKERPOOL, {
        minWorkers: THREADS,
        maxWorkers: THREADS,
        workerType: 'thread'
      })
      return {
        call: async () => workerpool.exec('tiny'),
        stop: async () => {
          await workerpool.terminate()
        }
      }
    }
  )
]
