import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createIdentity, createNetwork, saveNetwork } from '../../bootstrap/index.ts'

const NODE = fileURLToPath(new URL('./service-node.ts', import.meta.url))
const LIBRARIES = import.meta.resolve('../vendor/hook.js')
const READY_MS = 240_000
const STOP_MS = 120_000

export interface ServiceNode {
  name: string
  id: string
  address: string
  folder: string
  call<T>(operation: string, input?: object, onProgress?: (progress: never) => void): Promise<T>
  /** as a power cut does */
  kill(): Promise<void>
  /** as Ctrl-C does: its exit code, null where it did not end in time */
  stop(): Promise<number | null>
}

export type ServiceName = 'files' | 'vm' | 'devices' | 'tv' | 'messenger' | 'watch'

/** Nodes with nothing but one service, as processes of their own on loopback. */
export interface ServiceNetwork extends AsyncDisposable {
  /** those that run, by name */
  nodes: ReadonlyMap<string, ServiceNode>
  /** The same name again is the same disk; the first one is whom others find the network by. */
  start(name: string, settings?: object, environment?: Record<string, string>): Promise<ServiceNode>
  /** Ends all as Ctrl-C does; true when all ended in time by themselves. */
  end(): Promise<boolean>
}

/** All that was started ends with it; the folder stays. */
export async function openServiceNetwork(folder: string, service: ServiceName): Promise<ServiceNetwork> {
  const file = join(folder, 'network.json')
  const { privateKey } = await createIdentity()
  await saveNetwork(file, await createNetwork({ name: service }, privateKey))
  const nodes = new Map<string, ServiceNode>()
  const running = new Set<ChildProcess>()
  let first: { name: string; address: string } | undefined
  return {
    nodes,

    async start(name, settings = {}, environment = {}) {
      const seed = first == null || first.name === name ? '' : first.address
      const child = fork(NODE, [join(folder, name), file, seed, JSON.stringify(settings), service], {
        execArgv: [
          '--no-node-snapshot',
          '--external-memory-accounted-in-global-limit',
          '--import',
          LIBRARIES
        ],
        serialization: 'advanced',
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc']
      })
      running.add(child)
      child.once('exit', () => running.delete(child))
      const [{ ready }] = (await once(child, 'message', {
        signal: AbortSignal.any([AbortSignal.timeout(READY_MS), endOf(child)])
      })) as [{ ready: { id: string; address: string } }]
      if (first == null || first.name === name) first = { name, address: ready.address }
      const node: ServiceNode = { name, ...ready, folder: join(folder, name), ...createCalls(child) }
      nodes.set(name, node)
      child.once('exit', () => {
        if (nodes.get(name) === node) nodes.delete(name)
      })
      return node
    },

    async end() {
      const codes = await Promise.all([...nodes.values()].map(node => node.stop()))
      return codes.every(code => code === 0) && running.size === 0
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map(kill))
    }
  }
}

function createCalls(child: ChildProcess): Pick<ServiceNode, 'call' | 'kill' | 'stop'> {
  const waiting = new Map<
    number,
    { done: PromiseWithResolvers<never>; onProgress?: (progress: never) => void }
  >()
  let next = 0
  child.on('message', (message: { id: number; progress?: never; result?: never; error?: Error }) => {
    const call = waiting.get(message.id)
    if ('progress' in message) return call?.onProgress?.(message.progress as never)
    waiting.delete(message.id)
    if (message.error == null) call?.done.resolve(message.result as never)
    else call?.done.reject(Object.assign(new Error(message.error.message), { name: message.error.name }))
  })
  child.once('exit', () => {
    for (const { done } of waiting.values()) done.reject(new Error('the process has ended'))
  })
  return {
    call(operation, input = {}, onProgress) {
      if (!child.connected) return Promise.reject(new Error('the process has ended'))
      const done = Promise.withResolvers<never>()
      const id = next++
      waiting.set(id, { done, onProgress })
      child.send({ id, operation, input })
      return done.promise
    },
    kill: () => kill(child),
    async stop() {
      const exit = once(child, 'exit', { signal: AbortSignal.timeout(STOP_MS) })
      child.kill('SIGTERM')
      try {
        return ((await exit) as [number | null])[0]
      } catch {
        // it did not end by itself
        await kill(child)
        return null
      }
    }
  }
}

function endOf(child: ChildProcess): AbortSignal {
  const controller = new AbortController()
  child.once('exit', code => controller.abort(new Error(`it ended with exit code ${code}`)))
  return controller.signal
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode != null || child.signalCode != null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}
