import type { Log } from '../context.ts'
import { pause } from '../time/pause.ts'
import type { Agent } from './agent.ts'

const FIRST_WAIT_MS = 500
const LAST_WAIT_MS = 30_000
/** Whether one that was away has come is looked at so often. */
const LOOK_MS = 500
/** A witness without room is asked again after this. */
const FULL_MS = 30_000

export interface DeliveriesInit {
  agent: Pick<Agent, 'deliver'>
  witnesses: readonly string[]
  /** whether there is a connection to it */
  isHere(witness: string): boolean
  signal: AbortSignal
  /** why a witness does not get what is written; undefined: it does */
  onState(witness: string, why: string | undefined): void
  log: Log
}

/** Brings what is written to each witness, each at its own pace. */
export function createDeliveries({ agent, witnesses, isHere, signal, onState, log }: DeliveriesInit) {
  let news = Promise.withResolvers<void>()

  async function keepUp(witness: string): Promise<void> {
    let waitMs = FIRST_WAIT_MS
    while (!signal.aborted) {
      const coming = news.promise
      try {
        const step = await agent.deliver(witness, signal)
        waitMs = FIRST_WAIT_MS
        onState(witness, step === 'full' ? 'it has no room' : undefined)
        if (step === 'idle') await Promise.race([coming, ended])
        else if (step === 'full') await pause(FULL_MS, signal)
      } catch (error) {
        if (signal.aborted) return
        onState(witness, (error as Error).message)
        log('%s gets nothing for %d ms: %s', witness, waitMs, (error as Error).message)
        await waitFor(witness, waitMs)
        waitMs = Math.min(2 * waitMs, LAST_WAIT_MS)
      }
    }
  }

  /** So long, or until it has come: after an hour without it, what it lacks is not held up. */
  async function waitFor(witness: string, ms: number): Promise<void> {
    const end = performance.now() + ms
    let wasHere = isHere(witness)
    while (!signal.aborted && performance.now() < end) {
      await pause(Math.min(LOOK_MS, ms), signal)
      const isHereNow = isHere(witness)
      if (isHereNow && !wasHere) return
      wasHere = isHereNow
    }
  }

  const ended = new Promise<void>(resolve =>
    signal.addEventListener('abort', () => resolve(), { once: true })
  )
  const running = witnesses.map(keepUp)
  return {
    /** Something new is written. */
    wake(): void {
      news.resolve()
      news = Promise.withResolvers()
    },
    ended: () => Promise.all(running)
  }
}
