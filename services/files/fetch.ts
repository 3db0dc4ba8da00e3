import type { CID } from 'multiformats/cid'
import { isBlockOf } from './cid.ts'
import { DagError } from './errors.ts'
import { MAX_BLOCK_BYTES, MAX_BLOCKS, type Peers } from './messages.ts'

const HAS_TIMEOUT_MS = 5_000
const FIND_TIMEOUT_MS = 10_000
/** A window of blocks over a slow line: 4 MiB at 70 kB/s. */
const BLOCKS_TIMEOUT_MS = 60_000
/** Who has it, of so many that were asked at once. */
const ASKED_AT_ONCE = 16
const MAX_SOURCES = 4

export interface Log {
  (message: string, ...args: unknown[]): void
  error(message: string, ...args: unknown[]): void
}

/** Peers that say that they have all of a file: the first few that answer. */
export async function findSources(peers: Peers, cid: string, signal: AbortSignal): Promise<string[]> {
  const sources: string[] = []
  const enough = new AbortController()
  const until = AbortSignal.any([signal, enough.signal, AbortSignal.timeout(FIND_TIMEOUT_MS)])
  const asking = new Set<Promise<void>>()
  const ask = async (peer: string): Promise<void> => {
    const deadline = AbortSignal.any([until, AbortSignal.timeout(HAS_TIMEOUT_MS)])
    const { has } = await peers.ask(peer, 'has', { cid }, { signal: deadline })
    if (has) sources.push(peer)
    if (sources.length >= MAX_SOURCES) enough.abort()
  }
  try {
    for await (const peer of peers.find({ signal: until })) {
      // one that does not answer has nothing for us
      const asked = ask(peer).catch(() => {})
      asking.add(asked)
      void asked.then(() => asking.delete(asked))
      if (asking.size >= ASKED_AT_ONCE) await Promise.race(asking)
      if (enough.signal.aborted) break
    }
  } catch (error) {
    // the search ends when there is enough, or at its deadline
    if (!until.aborted) throw error
  }
  await Promise.all(asking)
  signal.throwIfAborted()
  return sources
}

/**
 * Verified blocks: asks the sources one after the other for what is still missing. One that fails, or sends a wrong
 * block, is asked no more.
 */
export function fetchFrom(peers: Peers, sources: readonly string[], log: Log) {
  const left = [...sources]
  return async function* fetch(
    cids: CID[],
    signal: AbortSignal
  ): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
    let missing = cids
    for (const source of [...left]) {
      if (missing.length === 0) return
      const came = new Set<CID>()
      try {
        for (let at = 0; at < missing.length; at += MAX_BLOCKS) {
          const asked = missing.slice(at, at + MAX_BLOCKS)
          const deadline = AbortSignal.any([signal, AbortSignal.timeout(BLOCKS_TIMEOUT_MS)])
          let i = 0
          for await (const bytes of peers.blocks(source, asked.map(String), { signal: deadline })) {
            const cid = asked[i++]
            if (cid == null) break
            if (bytes.length === 0) continue
            if (bytes.length > MAX_BLOCK_BYTES || !isBlockOf(cid, bytes))
              throw new DagError(`what it sent is not block ${cid}`)
            came.add(cid)
            yield { cid, bytes }
          }
        }
      } catch (error) {
        signal.throwIfAborted()
        log('%s gives no blocks: %s', source, (error as Error).message)
        left.splice(left.indexOf(source), 1)
      }
      missing = missing.filter(cid => !came.has(cid))
    }
  }
}
