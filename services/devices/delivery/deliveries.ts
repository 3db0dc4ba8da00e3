import type { Log } from '../context.ts'
import { pause } from '../time/pause.ts'
import type { Agent } from './agent.ts'

const FIRST_WAIT_MS = 500
const LAST_WAIT_MS = 30_000
/** A witness without room is asked again after this. */
const FULL_MS = 30_000

export interface DeliveriesInit {
  agent: Pick<Agent, 'deliver'>
  witnesses: readonly string[]
  signal: AbortSignal
  /** why a witness does not get what is written; undefined: it does */
  onState(witness: string, why: string | undefined): void
  log: Log
}

/** Brings what is written to each witness, each at its own pace. */
export function createDeliveries({ agent, witnesses, signal, onState, log }: DeliveriesInit) {
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
        await pause(waitMs, signal)
        waitMs = Math.min(2 * waitMs, LAST_WAIT_MS)
      }
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
