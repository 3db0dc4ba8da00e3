import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ClientOperations } from './client.ts'
import { cpuBetween, cpuTimes, end } from './process.ts'
import { profiledAs } from './profiles.ts'
import { ROOT } from './report.ts'

const MAIN = join(ROOT, 'node/cli/artel.js')
const CLIENT = join(ROOT, 'benchmarks/harness/client.ts')
const START_DEADLINE_MS = 120_000
const LOOPBACK = '/ip4/127.0.0.1/tcp/0'

/** A node that runs as a process of its own, started the way a user starts it. */
export interface NodeProcess {
  process: ChildProcess
  address: string
  /** ms from spawn until it said that it is ready */
  readyMs: number
  data: string
}

/** Starts `artel seed` or `artel start` and waits until it is ready. */
export async function startNode(
  command: 'seed' | 'start',
  data: string,
  flags: string[]
): Promise<NodeProcess> {
  const started = performance.now()
  const profiled = profiledAs(basename(data))
  const args = [command, '--json', '--data', data, '--listen', LOOPBACK, '--log-level', 'error', ...flags]
  const child = spawn(process.execPath, ['--no-node-snapshot', ...profiled.flags, MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, ...profiled.env }
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), START_DEADLINE_MS)
  try {
    for await (const line of createInterface(child.stdout)) {
      const { event, addresses } = JSON.parse(line)
      if (event !== 'ready') continue
      child.stdout.resume()
      return { process: child, address: addresses[0], readyMs: performance.now() - started, data }
    }
  } finally {
    clearTimeout(timer)
  }
  throw new Error(`artel ${command} ended before it was ready; its own words are above`)
}

/** A client's node in a process of its own, driven by messages. */
export interface Client {
  call<K extends keyof ClientOperations>(
    operation: K,
    ...params: Parameters<ClientOperations[K]>
  ): Promise<Awaited<ReturnType<ClientOperations[K]>>>
}

export interface Fleet extends AsyncDisposable {
  seed: NodeProcess
  workers: NodeProcess[]
  client: Client
  /** another one, if it was asked for */
  other?: Client
  /** Runs `work` and tells how much CPU time in ms it took, by role; `sandbox` is what the workers started. */
  cpuOf(work: () => Promise<void>): Promise<CpuTimes>
  /** where the fleet keeps its files; removed with it */
  folder: string
}

export type CpuTimes = { client: number; workers: number; sandbox: number; seed: number }

export interface FleetInit {
  workers: number
  /** further flags of the workers */
  flags?: string[]
  /** of the client's Node.js */
  clientFlags?: string[]
  /** a second client */
  hasOther?: boolean
  /** that the client's node lends, to itself too; without, it gives everything away */
  slots?: number
}

/**
 * A network on loopback: a seed that is the witness and lends nothing, workers of one slot each, and a client that
 * knows all of them. Each one is a process of its own; all end, and their files go, with the fleet.
 */
export async function startFleet({
  workers,
  flags = [],
  clientFlags = [],
  hasOther = false,
  slots = 0
}: FleetInit): Promise<Fleet> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const seed = await startNode('seed', join(folder, 'seed'), ['--compute', 'false'])
  started.defer(() => end(seed.process))
  const network = ['--seed', seed.address, '--network', join(folder, 'seed/network.json')]
  const running = await Promise.all(
    Array.from({ length: workers }, async (_, i) => {
      const worker = await startNode('start', join(folder, `worker-${i}`), [
        ...network,
        ...['--slots', '1', '--gateway-enabled', 'false'],
        ...flags
      ])
      started.defer(() => end(worker.process))
      return worker
    })
  )
  const startClient = async (name: string): Promise<{ child: ChildProcess; client: Client }> => {
    const profiled = profiledAs(name)
    const child = fork(CLIENT, {
      // the flag is what node/cli/artel.js sets for those who start it
      execArgv: [
        '--no-node-snapshot',
        '--external-memory-accounted-in-global-limit',
        ...clientFlags,
        ...profiled.flags
      ],
      serialization: 'advanced',
      env: { PATH: process.env.PATH, ...profiled.env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    started.defer(() => end(child))
    const client = createClient(child)
    await client.call('start', {
      data: join(folder, name),
      network: join(folder, 'seed/network.json'),
      seeds: [seed.address],
      workers: running.map(worker => worker.address),
      slots
    })
    return { child, client }
  }
  const { child, client } = await startClient('client')
  const { client: other } = hasOther ? await startClient('other') : {}
  const parts = started.move()
  const pids = [child, seed.process, ...running.map(worker => worker.process)].map(({ pid }) => pid!)
  async function cpuOf(work: () => Promise<void>): Promise<CpuTimes> {
    const before = pids.map(cpuTimes)
    await work()
    const own: number[] = []
    const started: number[] = []
    for (const [i, pid] of pids.entries()) {
      const after = cpuTimes(pid)
      const all = cpuBetween(before[i]!, after)
      own.push(after.get(pid)! - before[i]!.get(pid)!)
      started.push(all - own[i]!)
    }
    const [client = 0, seed = 0, ...workers] = own
    return { client, seed, workers: sum(workers), sandbox: sum(started) }
  }
  return {
    seed,
    workers: running,
    client,
    other,
    cpuOf,
    folder,
    [Symbol.asyncDispose]: () => parts.disposeAsync()
  }
}

function createClient(child: ChildProcess): Client {
  const waiting = new Map<number, PromiseWithResolvers<never>>()
  let next = 0
  child.on('message', ({ id, value, error }: { id: number; value: never; error?: string }) => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (error == null) call?.resolve(value)
    else call?.reject(new Error(error))
  })
  child.on('exit', code => {
    for (const call of waiting.values()) call.reject(new Error(`the client's process ended with ${code}`))
    waiting.clear()
  })
  return {
    call(operation, ...params) {
      const call = Promise.withResolvers<never>()
      const id = next++
      waiting.set(id, call)
      child.send({ id, operation, params })
      return call.promise
    }
  }
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
