import { setTimeout as delay } from 'node:timers/promises'

/** Waits, or until the signal. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  // the signal only ends the waiting
  delay(ms, undefined, { signal }).catch(() => {})
