import type { Entries, Entry } from '../../host/index.ts'
import type { Logs } from './logs.ts'

/** Whence sign-ins fail that are counted apart until they are told. */
const MAX_ORIGINS = 100
const ELSEWHERE = 'elsewhere'

/**
 * Writes down who comes in over HTTP until the signal: sockets at once; sign-ins that fail are counted, and told together, for
 * somebody may try thousands.
 */
export function createEntryLog(
  entries: () => Entries | undefined,
  logs: Pick<Logs, 'socket' | 'failedSignIns'>,
  signal: AbortSignal
) {
  let followed: Entries | undefined
  const failed = new Map<string, number>()

  function hear(entry: Entry): void {
    const { is, address } = entry
    if (is !== 'failed') {
      logs.socket(`${is} by ${entry.who} from ${address}, ${entry.open} open`)
      return
    }
    const from = entry.account == null ? address : `${address} as ${entry.account}`
    const origin = failed.has(from) || failed.size < MAX_ORIGINS ? from : ELSEWHERE
    failed.set(origin, (failed.get(origin) ?? 0) + 1)
  }

  function tell(): void {
    for (const [from, times] of failed) logs.failedSignIns(times, from)
    failed.clear()
  }
  signal.addEventListener('abort', tell, { once: true })

  return {
    /** Follows the gateway, which may have been started since. */
    look(): void {
      const now = entries()
      if (now != null && now !== followed) now.watch(hear, signal)
      followed = now
    },
    /** What was counted is in the log. */
    tell
  }
}
export type EntryLog = ReturnType<typeof createEntryLog>
