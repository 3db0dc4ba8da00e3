import type { Signer } from '../context.ts'
import { type Batch, HEAD_DOMAIN, headBytes, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from './batch.ts'
import type { ChainLog } from './chain-log.ts'
import { type Body, type ClockState, type Entry, type EntryClass, encodeEntry, hashOf } from './entry.ts'

/** What somebody wants to be written. */
export interface Draft {
  class: EntryClass
  device: string
  kind: string
  body: Body
}
/** When it was measured. */
export interface Moment {
  boot: string
  monoMs: number
  timeMs: number
  clock: ClockState
}
/** Where it is written. */
export interface Place {
  number: number
  seq: number
}

/**
 * There are no more flushes than one in this time, but for accounts and so many entries: each costs a signature and a wait
 * for the disk. What comes after a rest is written at once, for eyes that wait for it.
 */
const FLUSH_MS = 250
const FLUSH_ENTRIES = 64
/** Those that wait to be written; then whoever has more waits too. */
const MAX_PENDING = 1024

export interface RecorderInit {
  log: ChainLog
  fleet: string
  sign: Signer
  moment(): Moment
  /** what was written, before its drivers hear of it */
  onWritten(entries: readonly Entry[]): void
}

interface Pending {
  draft: Draft
  at: Moment
  done: PromiseWithResolvers<Place>
}

/** Writes drafts to a log, many in one flush. */
export function createRecorder({ log, fleet, sign, moment, onWritten }: RecorderInit) {
  const pending: Pending[] = []
  let timer: NodeJS.Timeout | undefined
  /** when the last one began, ms of the process */
  let flushedAt = Number.NEGATIVE_INFINITY
  let flushing: Promise<void> | undefined
  let room = Promise.withResolvers<void>()
  let isEnded = false

  function schedule(isUrgent: boolean): void {
    if (flushing != null) return
    const waitMs = flushedAt + FLUSH_MS - performance.now()
    if (isUrgent || waitMs <= 0 || pending.length >= FLUSH_ENTRIES) void flush()
    else timer ??= setTimeout(() => void flush(), waitMs)
  }

  /** All that waits, in as many writes as it takes. */
  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    flushing ??= (async () => {
      flushedAt = performance.now()
      // what comes in the same turn goes along
      await Promise.resolve()
      while (pending.length > 0) await writeSome()
      flushing = undefined
    })()
    return flushing
  }

  async function writeSome(): Promise<void> {
    const { chain, head } = log
    const written: { pending: Pending; entry: Entry }[] = []
    const bytes: Uint8Array[] = []
    let { seq, hash } = head
    let size = 0
    while (pending.length > 0 && bytes.length < MAX_BATCH_ENTRIES) {
      const next = pending[0]!
      try {
        const entry = { fleet, chain, seq: seq + 1, prev: hash, ...next.at, ...next.draft }
        const encoded = encodeEntry(entry)
        size += encoded.length
        if (bytes.length > 0 && size > MAX_BATCH_BYTES) break
        bytes.push(encoded)
        written.push({ pending: next, entry })
        hash = hashOf(encoded)
        seq++
      } catch (error) {
        next.done.reject(error)
      }
      pending.shift()
    }
    room.resolve()
    room = Promise.withResolvers()
    if (bytes.length === 0) return
    try {
      const after = { seq, hash }
      const batch: Batch = {
        from: head.seq + 1,
        entries: bytes,
        signature: sign(HEAD_DOMAIN, headBytes(chain, after))
      }
      await log.append(batch, after)
    } catch (error) {
      for (const { pending: each } of written) each.done.reject(error)
      return
    }
    onWritten(written.map(({ entry }) => entry))
    for (const { pending: each, entry } of written)
      each.done.resolve({ number: chain.number, seq: entry.seq })
  }

  return {
    log,
    /**
     * Resolves when it is on the disk: only then may a device be told that it was taken. Undefined where this log has
     * ended, and another one goes on.
     *
     * @throws {EntryError} this one cannot be written
     * @throws {LogFullError}
     */
    async record(draft: Draft, at: Moment = moment()): Promise<Place | undefined> {
      while (pending.length >= MAX_PENDING && !isEnded) await room.promise
      if (isEnded) return undefined
      const done = Promise.withResolvers<Place>()
      pending.push({ draft, at, done })
      schedule(draft.class === 'account')
      return done.promise
    },
    /** Writes what waits. */
    flush,
    /** Writes what waits, and takes nothing more. */
    end(): Promise<void> {
      isEnded = true
      return flush()
    }
  }
}

export type Recorder = ReturnType<typeof createRecorder>
