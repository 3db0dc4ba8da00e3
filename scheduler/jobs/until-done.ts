import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@libp2p/interface'

// A disk that is full is tried again this soon, later less often.
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 60_000

/**
 * Does what must happen although this node cannot write at the moment, again and again; false when `signal` comes first.
 * `what`: how the log names that it failed.
 */
export async function untilDone(
  what: string,
  work: () => void | Promise<void>,
  { signal, log }: { signal: AbortSignal; log: Logger }
): Promise<boolean> {
  for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(2 * wait, LAST_RETRY_MS)) {
    try {
      await work()
      return true
    } catch (err) {
      if (signal.aborted) break
      log.error('%s yet, next try in %d ms: %e', what, wait, err)
      // an abort only ends the waiting
      await delay(wait, undefined, { signal, ref: false }).catch(() => {})
    }
  }
  return false
}
