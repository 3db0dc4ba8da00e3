import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const THREADS = 2

/** Words counted by plain threads: the texts go to them, each counts its share of the bytes, the counts are added here. */
export function startWordThreads() {
  const threads = Array.from(
    { length: THREADS },
    () => new Worker(new URL('words-thread.js', import.meta.url))
  )
  return {
    async count(texts: string[]): Promise<{ ms: number; counts: Record<string, number> }> {
      const started = performance.now()
      const chars = texts.reduce((sum, text) => sum + text.length, 0)
      const shares = threads.map(() => [] as string[])
      let before = 0
      for (const text of texts) {
        shares[Math.min(THREADS - 1, Math.floor((before * THREADS) / chars))]!.push(text)
        before += text.length
      }
      const counted = await Promise.all(
        threads.map(async (thread, i) => {
          thread.postMessage(shares[i])
          const [counts] = await once(thread, 'message')
          return counts as Map<string, number>
        })
      )
      const all = new Map<string, number>()
      for (const counts of counted)
        for (const [word, count] of counts) all.set(word, (all.get(word) ?? 0) + count)
      return { ms: performance.now() - started, counts: Object.fromEntries(all) }
    },
    async stop(): Promise<void> {
      await Promise.all(threads.map(thread => thread.terminate()))
    }
  }
}
