import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Behaviour, ProcessInit } from './process.ts'

export interface NodeProcess {
  account: string
  addresses: string[]
  child: ChildProcess
  call<T = unknown>(method: string, ...args: unknown[]): Promise<T>
  kill(signal?: NodeJS.Signals): Promise<void>
}

const LIBRARIES = import.meta.resolve('../../node/vendor/hook.js')
const FILE = fileURLToPath(new URL('./process.ts', import.meta.url))

/** Starts test/ledger/process.ts, with `through` as the command that starts it, and waits until it is there. */
export async function spawnNode({
  through = [],
  ...init
}: Omit<ProcessInit, 'behaviour'> & { behaviour?: Behaviour; through?: string[] }): Promise<NodeProcess> {
  const setting = JSON.stringify({ behaviour: 'honest', ...init })
  const flags = ['--no-node-snapshot', '--no-warnings', '--import', LIBRARIES]
  const node = [process.execPath, ...flags, FILE, setting]
  const [command, ...args] = [...through, ...node]
  const child = spawn(command!, args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // the second process of a test starts in half the time of the first
    env: { NODE_COMPILE_CACHE: join(dirname(init.directory), 'compiled'), ...process.env },
    serialization: 'advanced'
  })
  const waiting = new Map<number, { resolve(value: any): void; reject(error: Error): void }>()
  const ready = Promise.withResolvers<{ ready: string[]; account: string }>()
  let nextId = 0
  child.on('message', (message: any) => {
    if (message.ready != null) return ready.resolve(message)
    const waiter = waiting.get(message.id)
    waiting.delete(message.id)
    if (message.error != null)
      waiter?.reject(Object.assign(new Error(message.error), { name: message.error }))
    else waiter?.resolve(message.value)
  })
  child.on('exit', () => {
    const gone = new Error('the process ended')
    ready.reject(gone)
    for (const waiter of waiting.values()) waiter.reject(gone)
  })
  const { ready: addresses, account } = await ready.promise
  return {
    account,
    addresses,
    child,
    call: (method, ...args) =>
      new Promise((resolve, reject) => {
        if (!child.connected) return reject(new Error('the process ended'))
        const id = nextId++
        waiting.set(id, { resolve, reject })
        // who is killed meanwhile may still seem connected
        child.send({ id, method, args }, error => {
          if (error != null) reject(new Error('the process ended', { cause: error }))
        })
      }),
    kill: async (signal = 'SIGKILL') => {
      if (child.exitCode != null || child.signalCode != null) return
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    }
  }
}
