import { EXIT } from '../errors.ts'
import { end } from './output.ts'

/** A node stops within this time or is left to the kernel (house rule: 2 s, with room for the process itself). */
const STOP_DEADLINE_MS = 1_800
/** In steps: they come late, and count no more for it, where the machine leaves this process no time. */
const STEP_MS = 100

/**
 * Runs `work` with a signal that aborts on the first Ctrl-C (or SIGTERM, or a closed terminal); a second one ends
 * the process at once. `patience` says how much longer than usual the end would take. Afterwards the process ends with what `work` returns, even when something still hangs.
 */
export async function untilInterrupted(
  work: (signal: AbortSignal, patience: (ms: () => number) => void) => Promise<number>
): Promise<never> {
  const interrupted = new AbortController()
  let more = () => 0
  const onSignal = (): void => {
    if (interrupted.signal.aborted) process.exit(EXIT.interrupted)
    let leftMs = STOP_DEADLINE_MS + more()
    setInterval(() => {
      leftMs -= STEP_MS
      if (leftMs <= 0) process.exit(EXIT.interrupted)
    }, STEP_MS).unref()
    interrupted.abort(new DOMException('interrupted', 'AbortError'))
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  const patience = (ms: () => number): void => {
    more = ms
  }
  return end(await work(interrupted.signal, patience))
}

/** Waits for the signal. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
