import { Queue } from '@libp2p/utils'

/**
 * Does one thing after the other for each host, and `atOnce` things for all: a host that is slow holds up what is for itself
 * alone, and what waits holds nothing yet.
 */
export function createTurns<T>(atOnce: number) {
  const all = new Queue<T>({ concurrency: atOnce })
  const hosts = new Map<string, Queue<T>>()
  return async (host: string, work: () => Promise<T>): Promise<T> => {
    const own = hosts.get(host) ?? new Queue<T>({ concurrency: 1 })
    hosts.set(host, own)
    try {
      return await own.add(() => all.add(work))
    } finally {
      if (own.size === 0) hosts.delete(host)
    }
  }
}
