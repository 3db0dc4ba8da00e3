import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const SIMULATOR = fileURLToPath(new URL('../../test/services/tv/simulator.ts', import.meta.url))
const READY_MS = 60_000

export interface SimulatedTv {
  isOn: boolean
  hasPower: boolean
  volume: number
  source: string
  /** 1 stopped, 2 paused, 3 playing */
  playback: number
  keys: number[]
  /** SHA-256 of each file when it was shown, in order */
  shown: string[]
  /** what got out of its quotes */
  escapes: string[]
}

/** Simulated TVs in a process of their own; the first has its power through a relay. */
export async function startWall(count: number) {
  const child = fork(SIMULATOR, [String(count)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const waiting = new Map<number, (result: never) => void>()
  let next = 0
  const ended = once(child, 'exit') as Promise<[number | null]>
  await once(child, 'message', { signal: AbortSignal.timeout(READY_MS) })
  child.on('message', ({ id, result }: { id: number; result: never }) => {
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  const ask = <T>(what: string, input: object = {}): Promise<T> => {
    const { promise, resolve } = Promise.withResolvers<never>()
    const id = next++
    waiting.set(id, resolve)
    child.send({ id, do: what, ...input })
    return promise
  }
  return {
    addresses: () => ask<string[]>('addresses'),
    /** for nodes whose relay it plays */
    environment: () => ask<Record<string, string>>('environment'),
    relay: () => ask<{ calls: string[]; holder?: number }>('relay'),
    state: () => ask<SimulatedTv[]>('state'),
    setVolume: (tv: number, volume: number) => ask<void>('setVolume', { tv, volume }),
    /** its exit code */
    async end(): Promise<number | null> {
      child.kill('SIGTERM')
      return (await ended)[0]
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (child.exitCode != null) return
      child.kill('SIGTERM')
      await ended
    }
  }
}
