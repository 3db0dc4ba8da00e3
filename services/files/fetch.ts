import { setTimeout as delay } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import { isBlockOf } from './cid.ts'
import { DagError } from './errors.ts'
import { MAX_BLOCK_BYTES, MAX_BLOCKS, type Peers } from './messages.ts'

const HAS_TIMEOUT_MS = 5_000
const FIND_TIMEOUT_MS = 10_000
/** A window of blocks over a slow line: 4 MiB at 70 kB/s. */
export const BLOCKS_TIMEOUT_MS = 60_000
/** Who has it, of so many that were asked at once. */
const ASKED_AT_ONCE = 16
const MAX_SOURCES = 4
/** Those who are busy are asked again, each time later, up to this many times as late as at first. */
const MAX_LATER = 16
/** A quarter of an hour in which nobody who is busy has given a block. */
const MAX_TURNS = 60

export interface Log {
  (message: string, ...args: unknown[]): void
  error(message: string, ...args: unknown[]): void
}

/**
 * Peers that say that they have some or all of a file: the first few that answer. Those that have some come first, as
 * they are asked by fewer.
 */
export async function findSources(peers: Peers, cid: string, signal: AbortSignal): Promise<string[]> {
  const [some, whole]: [string[], string[]] = [[], []]
  const enough = new AbortController()
  const until = AbortSignal.any([signal, enough.signal, AbortSignal.timeout(FIND_TIMEOUT_MS)])
  const asking = new Set<Promise<void>>()
  const ask = async (peer: string): Promise<void> => {
    const deadline = AbortSignal.any([until, AbortSignal.timeout(HAS_TIMEOUT_MS)])
    const { has, hasSome } = await peers.ask(peer, 'has', { cid }, { signal: deadline })
    if (has) whole.push(peer)
    else if (hasSome) some.push(peer)
    if (whole.length >= MAX_SOURCES) enough.abort()
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
  return [...some.slice(0, MAX_SOURCES), ...whole]
}

export interface FetchInit {
  peers: Peers
  sources: readonly string[]
  /** looks for sources again where those are busy: by then others have some of it */
  again(signal: AbortSignal): Promise<string[]>
  /** after which it asks again, for the first time */
  laterMs: number
  log: Log
}

/**
 * Verified blocks: asks the sources one after the other for what is still missing. One that fails, or sends a wrong
 * block, is asked no more; where some are busy, it looks again a little later.
 */
export function fetchFrom({ peers, sources, again, laterMs, log }: FetchInit) {
  let asked = [...sources]
  const failed = new Set<string>()
  let turns = 0

  return async function* fetch(
    cids: CID[],
    signal: AbortSignal
  ): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
    let missing = cids
    for (;;) {
      let isBusy = false
      for (const source of asked) {
        if (missing.length === 0) return
        if (failed.has(source)) continue
        const came = new Set<CID>()
        try {
          for await (const block of blocksOf(source, missing, signal)) {
            turns = 0
            came.add(block.cid)
            yield block
          }
        } catch (error) {
          signal.throwIfAborted()
          if ((error as Error).name === 'CrowdedError') isBusy = true
          else {
            log('%s gives no blocks: %s', source, (error as Error).message)
            failed.add(source)
          }
        }
        missing = missing.filter(cid => !came.has(cid))
      }
      if (missing.length === 0 || !isBusy || turns === MAX_TURNS) return
      // not all of a crowd at once
      await delay(laterMs * Math.min(2 ** turns++, MAX_LATER) * (0.5 + Math.random() / 2), undefined, {
        signal
      })
      asked = await again(signal)
    }
  }

  async function* blocksOf(
    source: string,
    cids: CID[],
    signal: AbortSignal
  ): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
    for (let at = 0; at < cids.length; at += MAX_BLOCKS) {
      const wanted = cids.slice(at, at + MAX_BLOCKS)
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(BLOCKS_TIMEOUT_MS)])
      let i = 0
      for await (const bytes of peers.blocks(source, wanted.map(String), { signal: deadline })) {
        const cid = wanted[i++]
        if (cid == null) break
        if (bytes.length === 0) continue
        if (bytes.length > MAX_BLOCK_BYTES || !isBlockOf(cid, bytes))
          throw new DagError(`what it sent is not block ${cid}`)
        yield { cid, bytes }
      }
    }
  }
}
