import type { Entries, Entry } from '../host/index.ts'
import type { Accounts } from './accounts/index.ts'

/** Who may follow what happens here at one listener. */
export const MAX_READERS = 100

/** Who comes in over HTTP, for services that keep a log of it. */
export function createEntries() {
  const hearers = new Set<(entry: Entry) => void>()
  /** listener → sockets */
  const open = new Map<string, number>()
  const tell = (entry: Entry): void => {
    for (const hear of hearers) hear(entry)
  }
  return {
    failed: (address: string, account: string | undefined): void =>
      tell({ is: 'failed', address, ...(account == null ? {} : { account }) }),
    socket(is: 'opened' | 'closed', at: { listener: string; who: string; address: string }): void {
      const { listener, who, address } = at
      const now = (open.get(listener) ?? 0) + (is === 'opened' ? 1 : -1)
      open.set(listener, now)
      tell({ is, who, address, open: now })
    },
    of: (accounts: Pick<Accounts, 'standing'>): Entries => ({
      accounts: accounts.standing,
      sockets: () => ({ open: Math.max(0, ...open.values()), most: MAX_READERS }),
      watch(hear, signal) {
        hearers.add(hear)
        signal.addEventListener('abort', () => hearers.delete(hear), { once: true })
      }
    })
  }
}
