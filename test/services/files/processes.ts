import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createIdentity, createNetwork, saveNetwork } from '../../../bootstrap/index.ts'

const NODE = fileURLToPath(new URL('./process.ts', import.meta.url))
const READY_MS = 30_000

export interface NodeProcess {
  id: string
  folder: string
  call<T>(operation: string, input?: object, onProgress?: (progress: never) => void): Promise<T>
  /** as a power cut does */
  kill(): Promise<void>
  /** as Ctrl-C does; its exit code */
  stop(): Promise<number | null>
}

/** Nodes as processes of their own on loopback; all end, and their files go, with `stop`. */
export class FileProcesses {
  readonly folder: string
  #seed = { name: '', address: '' }
  readonly #running = new Set<ChildProcess>()

  constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<FileProcesses> {
    const folder = await mkdtemp(join(tmpdir(), 'artel-files-'))
    const { privateKey } = await createIdentity()
    await saveNetwork(join(folder, 'network.json'), await createNetwork({ name: 'test' }, privateKey))
    return new FileProcesses(folder)
  }

  /** The same name again is the same disk; the first one is whom others find the network by. */
  async start(name: string, settings: object = {}): Promise<NodeProcess> {
    const folder = join(this.folder, name)
    const child = fork(
      NODE,
      [
        folder,
        join(this.folder, 'network.json'),
        name === this.#seed.name ? '' : this.#seed.address,
        JSON.stringify(settings)
      ],
      {
        execArgv: ['--no-node-snapshot'],
        serialization: 'advanced',
        stdio: ['ignore', 'inherit', 'inherit', 'ipc']
      }
    )
    this.#running.add(child)
    child.once('exit', () => this.#running.delete(child))
    const [{ ready }] = (await once(child, 'message', {
      signal: AbortSignal.any([AbortSignal.timeout(READY_MS), endOf(child)])
    })) as [{ ready: { id: string; address: string } }]
    if (this.#seed.name === '' || this.#seed.name === name) this.#seed = { name, address: ready.address }
    return { id: ready.id, folder, ...createCalls(child) }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running].map(kill))
    await rm(this.folder, { recursive: true, force: true })
  }
}

function createCalls(child: ChildProcess): Pick<NodeProcess, 'call' | 'kill' | 'stop'> {
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
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const [code] = await exit
      return code as number | null
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
