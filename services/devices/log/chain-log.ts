import { ChainError, DamagedLogError } from '../errors.ts'
import {
  type Batch,
  decodeBatch,
  encodeBatch,
  follow,
  type IsSigned,
  lastSeq,
  MAX_BATCH_BYTES,
  MAX_BATCH_ENTRIES,
  sizeOf,
  verifyBatch
} from './batch.ts'
import type { Disk } from './disk.ts'
import { type ChainId, decodeEntry, GENESIS, type Head, hashOf } from './entry.ts'
import { frameRecord, type Scan, scanRecords } from './records.ts'

export const SEGMENT_BYTES = 1 << 20
/** Where batches lie in a segment, kept for those read last: some 20 KB each. */
const MAX_INDEXES = 64
const SEGMENT = /^(\d{16})\.seg$/
/** what was set aside: first and last entry that are missing */
const HOLE = /^(\d{16})-(\d{16})\.bad$/
const pad = (seq: number): string => String(seq).padStart(16, '0')

export interface Segment {
  name: string
  from: number
  bytes: number
}
/** Entries that were kept and are not there any more. */
export interface Hole {
  from: number
  to: number
}

export interface ChainLogInit {
  disk: Disk
  chain: ChainId
  isSigned: IsSigned
  segmentBytes?: number
}

/** One chain on a disk: files that only grow, the oldest of which can be let go. */
export interface ChainLog {
  readonly chain: ChainId
  readonly head: Head
  /** the oldest entry that is kept */
  readonly first: number
  readonly bytes: number
  readonly segments: readonly Segment[]
  readonly holes: readonly Hole[]
  /** what was found wrong when it was opened */
  readonly found: readonly string[]
  /** Writes a batch that was verified to follow the head; on the disk when it returns. @throws {LogFullError} */
  append(batch: Batch, head: Head): Promise<void>
  /**
   * Entries from `from` on, at most so many as go into one batch; undefined where it is not kept.
   *
   * @throws {DamagedLogError} what was there is set aside, and is a hole now
   */
  read(from: number): Promise<Batch | undefined>
  /** The hash of an entry, where it is kept. */
  hashAt(seq: number): Promise<Uint8Array | undefined>
  /** Puts back what is missing. @throws {ChainError} it is not what was there */
  repair(batch: Batch): Promise<void>
  /** Reads and verifies everything, setting aside what is wrong; tells what it found. */
  scrub(signal?: AbortSignal): Promise<string[]>
  /** Lets the oldest segment go; the last one stays. Entries that are gone. */
  dropOldest(): Promise<number>
  close(): Promise<void>
}

/** Opens what is there: cuts off what a crash left half written, and verifies the newest segment. */
export async function openChainLog({
  disk,
  chain,
  isSigned,
  segmentBytes = SEGMENT_BYTES
}: ChainLogInit): Promise<ChainLog> {
  const files = await disk.list()
  const segments: Segment[] = files
    .map(({ name, bytes }) => ({ name, bytes, from: Number(SEGMENT.exec(name)?.[1] ?? -1) }))
    .filter(({ from }) => from >= 0)
    .sort((a, b) => a.from - b.from)
  const holes: Hole[] = files
    .map(({ name }) => HOLE.exec(name))
    .filter(match => match != null)
    .map(([, from, to]) => ({ from: Number(from), to: Number(to) }))
    .sort((a, b) => a.from - b.from)
  const indexes = new Map<string, { seqs: number[]; offsets: number[] }>()
  const found: string[] = []
  let head = GENESIS
  let queue: Promise<unknown> = Promise.resolve()
  const serially = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work)
    queue = done.catch(() => undefined /* told to who asked */)
    return done
  }

  while (segments.length > 0) {
    const last = segments.at(-1)!
    const bytes = await disk.read(last.name, 0, last.bytes)
    const scan = scanRecords(bytes)
    const { right, why, ended } = verifyRecords(scan)
    if (right === scan.records.length && scan.state === 'whole' && ended != null) {
      head = ended
      remember(last, scan.records)
      break
    }
    const keep = right === scan.records.length ? scan.rightBytes : scan.records[right]!.offset
    if (why != null || scan.state === 'damaged') {
      // not what a crash leaves: the file stays for who wants to know, and others may have what is missing
      found.push(`${last.name}: ${why ?? 'something in the middle is not what was written'}`)
      await disk.rename(last.name, `${last.name}.${Date.now()}.damaged`)
      if (keep > 0) await disk.append(last.name, bytes.subarray(0, keep))
    } else {
      found.push(`${last.name}: ${last.bytes - keep} bytes that were never finished are cut off`)
      if (keep > 0) await disk.truncate(last.name, keep)
      else await disk.remove(last.name)
    }
    last.bytes = keep
    if (keep === 0) segments.pop()
  }

  /** How many records from the first on are right, and where they lead. */
  function verifyRecords({ records }: Scan, before?: Head) {
    let ended = before
    const batches: Batch[] = []
    const heads: Head[] = []
    let why: string | undefined
    for (const { payload } of records) {
      try {
        const batch = decodeBatch(payload)
        ended = follow(chain, ended, batch).head
        batches.push(batch)
        heads.push(ended)
      } catch (error) {
        why = (error as Error).message
        break
      }
    }
    // the hashes tie all to the last, so that one signature is enough
    let right = batches.length
    while (right > 0) {
      try {
        verifyBatch(chain, heads[right - 2], batches[right - 1]!, isSigned)
        break
      } catch (error) {
        why = (error as Error).message
        right--
      }
    }
    return { right, why, ended: heads[right - 1] }
  }

  function remember(segment: Segment, records: Scan['records']): { seqs: number[]; offsets: number[] } {
    const index = {
      seqs: records.map(({ payload }) => decodeBatch(payload).from),
      offsets: records.map(({ offset }) => offset)
    }
    if (indexes.size >= MAX_INDEXES) indexes.delete(indexes.keys().next().value as string)
    indexes.set(segment.name, index)
    return index
  }

  async function indexOf(segment: Segment): Promise<{ seqs: number[]; offsets: number[] }> {
    const known = indexes.get(segment.name)
    if (known != null) return known
    const scan = scanRecords(await disk.read(segment.name, 0, segment.bytes))
    if (scan.state !== 'whole') throw await setAside(segment, 'its checksums are wrong')
    return remember(segment, scan.records)
  }

  /** The segment is no longer used; what was in it is missing until others give it back. */
  async function setAside(segment: Segment, why: string): Promise<DamagedLogError> {
    const at = segments.indexOf(segment)
    const next = segments[at + 1]
    indexes.delete(segment.name)
    if (at >= 0 && next != null) {
      const hole = { from: segment.from, to: next.from - 1 }
      segments.splice(at, 1)
      holes.push(hole)
      await disk.rename(segment.name, `${pad(hole.from)}-${pad(hole.to)}.bad`)
    }
    return new DamagedLogError(segment.name, `${segment.name} of ${chain.agent}/${chain.number}: ${why}`)
  }

  async function read(from: number): Promise<Batch | undefined> {
    const at = segments.findLastIndex(segment => segment.from <= from)
    const segment = segments[at]
    if (segment == null || from > head.seq || holes.some(hole => from >= hole.from && from <= hole.to))
      return undefined
    const { seqs, offsets } = await indexOf(segment)
    const begin = seqs.findLastIndex(seq => seq <= from)
    let end = begin + 1
    const limit = offsets[begin]! + MAX_BATCH_BYTES
    while (end < seqs.length && (offsets[end + 1] ?? segment.bytes) <= limit) end++
    const offset = offsets[begin]!
    const bytes = await disk.read(segment.name, offset, (offsets[end] ?? segment.bytes) - offset)
    const { records, state } = scanRecords(bytes)
    if (records.length < end - begin || state !== 'whole')
      throw await setAside(segment, `what is kept from entry ${seqs[begin]} on is not what was written`)
    const batches = records.map(({ payload }) => decodeBatch(payload))
    // what its owner had let go before it came here
    if (lastSeq(batches[0]!) < from) return undefined
    return merge(batches, from)
  }

  async function hashAt(seq: number): Promise<Uint8Array | undefined> {
    if (seq === -1) return GENESIS.hash
    if (seq === head.seq) return head.hash
    const batch = await read(seq)
    return batch && hashOf(batch.entries[0]!)
  }

  async function prevOf(seq: number): Promise<Uint8Array | undefined> {
    const batch = await read(seq)
    return batch && decodeEntry(batch.entries[0]!).prev
  }

  async function write(segment: Segment, batch: Batch): Promise<void> {
    const record = frameRecord(encodeBatch(batch))
    await disk.append(segment.name, record)
    const index = indexes.get(segment.name)
    index?.seqs.push(batch.from)
    index?.offsets.push(segment.bytes)
    segment.bytes += record.length
  }

  function open(from: number): Segment {
    const segment = { name: `${pad(from)}.seg`, from, bytes: 0 }
    remember(segment, [])
    return segment
  }

  return {
    chain,
    get head() {
      return head
    },
    get first() {
      return segments[0]?.from ?? head.seq + 1
    },
    get bytes() {
      return segments.reduce((sum, { bytes }) => sum + bytes, 0)
    },
    segments,
    holes,
    found,
    read,

    append: (batch, after) =>
      serially(async () => {
        if (batch.from <= head.seq) throw new ChainError(batch.from, `entry ${batch.from} is there already`)
        const last = segments.at(-1)
        const fits = last != null && last.bytes < segmentBytes
        const segment = fits ? last : open(batch.from)
        await write(segment, batch)
        if (!fits) segments.push(segment)
        head = after
      }),

    hashAt,

    repair: batch =>
      serially(async () => {
        const hole = holes.find(({ from }) => from === batch.from)
        if (hole == null) return
        const { entries, hashes } = verifyBatch(chain, undefined, batch, isSigned)
        const last = lastSeq(batch)
        const before = await hashAt(batch.from - 1)
        const place = Math.min(last, head.seq)
        // where its end is kept, or what follows it, that decides: one who signs twice has two of each number
        const after =
          last > hole.to ? await hashAt(place) : last === hole.to ? await prevOf(last + 1) : undefined
        if (
          (before != null && Buffer.compare(before, entries[0]!.prev) !== 0) ||
          (after != null && Buffer.compare(after, hashes[place - batch.from]!) !== 0)
        )
          throw new ChainError(batch.from, `entry ${batch.from} is not that which was here`)
        const segment = open(batch.from)
        await write(segment, batch)
        segments.push(segment)
        segments.sort((a, b) => a.from - b.from)
        const name = `${pad(hole.from)}-${pad(hole.to)}.bad`
        // it may reach beyond; what is kept there is the same
        hole.from = lastSeq(batch) + 1
        if (hole.from <= hole.to) await disk.rename(name, `${pad(hole.from)}-${pad(hole.to)}.bad`)
        else {
          holes.splice(holes.indexOf(hole), 1)
          await disk.remove(name)
        }
      }),

    async scrub(signal) {
      const wrong: string[] = []
      let before: Head | undefined
      for (const segment of [...segments]) {
        signal?.throwIfAborted()
        const { name, from, bytes } = segment
        // grown since, or dropped
        if (segment === segments.at(-1) || !segments.includes(segment)) continue
        const scan = scanRecords(await disk.read(name, 0, bytes))
        const { right, why, ended } = verifyRecords(scan, before?.seq === from - 1 ? before : undefined)
        if (scan.state === 'whole' && right === scan.records.length) before = ended
        else {
          before = undefined
          wrong.push((await setAside(segment, why ?? 'its checksums are wrong')).message)
        }
        await new Promise(setImmediate)
      }
      return wrong
    },

    dropOldest: () =>
      serially(async () => {
        const [oldest, next] = segments
        if (oldest == null || next == null) return 0
        // the file first: a full disk can always unlink
        await disk.remove(oldest.name)
        segments.shift()
        indexes.delete(oldest.name)
        for (const hole of holes.filter(({ to }) => to < next.from)) {
          await disk.remove(`${pad(hole.from)}-${pad(hole.to)}.bad`)
          holes.splice(holes.indexOf(hole), 1)
        }
        return next.from - oldest.from
      }),

    close: () => serially(() => disk.close())
  }
}

/** Batches that follow each other as one, from an entry of the first on, as far as one batch goes. */
function merge(batches: readonly Batch[], from: number): Batch {
  const first = batches[0]!
  const entries = first.entries.slice(from - first.from)
  let { signature } = first
  let bytes = sizeOf(entries)
  for (const batch of batches.slice(1)) {
    bytes += sizeOf(batch.entries)
    if (entries.length + batch.entries.length > MAX_BATCH_ENTRIES || bytes > MAX_BATCH_BYTES) break
    entries.push(...batch.entries)
    signature = batch.signature
  }
  return { from, entries, signature }
}
