import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const SIMULATOR = fileURLToPath(new URL('../../test/services/sas/simulator.ts', import.meta.url))
const READY_MS = 60_000

export interface SimulatedMachine {
  serial: string
  /** every exception, in order */
  happened: number[]
  /** exceptions that nobody has acknowledged */
  waiting: number
  coinIn: number
  coinOut: number
  bills: number
  /** transfers and bonuses */
  paid: number
}

/** Simulated gaming machines, each on a pseudo terminal, in a process of their own. */
export async function startMachines(folder: string, serials: readonly string[]) {
  const child = fork(SIMULATOR, [folder, ...serials], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const waiting = new Map<number, PromiseWithResolvers<never>>()
  let next = 0
  const ended = once(child, 'exit')
  await once(child, 'message', { signal: AbortSignal.timeout(READY_MS) })
  child.on('message', ({ id, result, error }: { id: number; result?: never; error?: string }) => {
    const asked = waiting.get(id)
    waiting.delete(id)
    if (error == null) asked?.resolve(result as never)
    else asked?.reject(new Error(error))
  })
  child.once('exit', () => {
    for (const each of waiting.values()) each.reject(new Error('the machines are gone'))
  })
  const ask = <T>(what: string, input: object = {}): Promise<T> => {
    const done = Promise.withResolvers<never>()
    const id = next++
    waiting.set(id, done)
    child.send({ id, do: what, ...input })
    return done.promise
  }
  return {
    paths: () => ask<string[]>('paths'),
    /** Plays as fast as somebody listens. */
    play: (place: number, games: number) => ask<void>('play', { place, games }),
    spoil: (share: number) => ask<void>('spoil', { share }),
    mute: (place: number, isMute: boolean) => ask<void>('mute', { place, isMute }),
    swap: (place: number, serial: string) => ask<void>('swap', { place, serial }),
    /** also those that were taken away */
    state: () => ask<SimulatedMachine[]>('state'),
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill('SIGTERM')
      await ended
    }
  }
}
