import type { IsSigned } from '../context.ts'
import { ChainError, EntryError } from '../errors.ts'
import {
  type Batch,
  decodeBatch,
  encodeBatch,
  follow,
  lastSeq,
  MAX_BATCH_BYTES,
  MAX_BATCH_ENTRIES,
  sizeOf,
  verifyBatch
} from './batch.ts'
import type { Disk } from './disk.ts'
import { type ChainId, decodeEntry, GENESIS, type Head, hashOf } from './entry.ts'
import { createHoles, type Hole, pad } from './holes.ts'
import { frameRecord, recordBytes, rightRecords, type Scan, scanRecords } from './records.ts'

const SEGMENT_BYTES = 1 << 20
/** Where batches lie in a segment, kept for those read last: some 20 KB each. */
const MAX_INDEXES = 64
/** A disk that never gives what was written is not asked for ever. */
const READ_TRIES = 3
const SEGMENT = /^(\d{16})\.seg$/
/** what was set aside stays for who wants to know */
const DAMAGED = /^(\d{16})\.seg\.\d+\.damaged$/

export interface Segment {
  name: string
  from: number
  bytes: number
}

export interface ChainLogInit {
  disk: Disk
  chain: ChainId
  isSigned: IsSigned
  segmentBytes?: number
  /** something is not what was written */
  onFound?(what: string): void
}

/** One chain on a disk: files that only grow, the oldest of which can be let go. */
export interface ChainLog {
  readonly chain: ChainId
  readonly head: Head
  /** the oldest entry that is kept, or missing */
  readonly first: number
  readonly bytes: number
  readonly segments: readonly Segment[]
  readonly holes: readonly Hole[]
  /** Writes a batch that was verified to lie behind the head; on the disk when it returns. @throws {LogFullError} */
  append(batch: Batch, head: Head): Promise<void>
  /** Entries from `from` on, at most so many as go into one batch; undefined where it is not kept. */
  read(from: number): Promise<Batch | undefined>
  /** Where what is kept goes on behind an entry that never came here; undefined: nowhere, or it is missing. */
  next(from: number): number | undefined
  /** The hash of an entry, where it is kept. */
  hashAt(seq: number): Promise<Uint8Array | undefined>
  /** Puts back what is missing. @throws {ChainError} it is not what was there */
  repair(batch: Batch): Promise<void>
  /** Nobody has these entries any more: they count as never kept. */
  giveUp(hole: Hole): Promise<void>
  /** Reads and verifies everything, setting aside what is wrong; how many segments were. */
  scrub(signal?: AbortSignal): Promise<number>
  /** Lets the oldest segment go; the last one stays. Entries that are gone. */
  dropOldest(): Promise<number>
  close(): Promise<void>
}

/** A segment is not what was written. */
class DamageError extends Error {
  override readonly name = 'DamageError'
  readonly segment: Segment
  constructor(segment: Segment, why: string) {
    super(why)
    this.segment = segment
  }
}

/** Opens what is there: cuts off what a crash left half written, and verifies the newest segment. */
export async function openChainLog({
  disk,
  chain,
  isSigned,
  segmentBytes = SEGMENT_BYTES,
  onFound = () => {}
}: ChainLogInit): Promise<ChainLog> {
  const files = await disk.list()
  const segments: Segment[] = files
    .map(({ name, bytes }) => ({ name, bytes, from: Number(SEGMENT.exec(name)?.[1] ?? -1) }))
    .filter(({ from }) => from >= 0)
    .sort((a, b) => a.from - b.from)
  const holes = createHoles(disk, files)
  const indexes = new Map<string, { seqs: number[]; offsets: number[] }>()
  let head = GENESIS
  let queue: Promise<unknown> = Promise.resolve()
  const serially = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work)
    queue = done.catch(() => undefined /* told to who asked */)
    return done
  }

  // a crash came while something was put back
  for (const segment of segments.filter(({ from }) => holes.at(from) != null)) {
    const { isRight, ended } = verifyBytes(await disk.read(segment.name, 0, segment.bytes))
    if (isRight) await holes.close({ from: segment.from, to: ended!.seq })
    else await rename(segment)
  }
  for (const { name, bytes } of files)
    if (holes.list.length > 0 && DAMAGED.test(name)) await salvage(await disk.read(name, 0, bytes))

  while (segments.length > 0) {
    const last = segments.at(-1)!
    const bytes = await disk.read(last.name, 0, last.bytes)
    const { scan, why, isRight, ended, keep } = verifyBytes(bytes)
    if (isRight) {
      head = ended!
      remember(last, scan.records)
      break
    }
    if (why == null && scan.state !== 'damaged') {
      // a write that was cut off ends too early
      if (keep + recordBytes(bytes, keep) === bytes.length)
        onFound(`${last.name}: the last entries are not what was written`)
      if (keep > 0) await disk.truncate(last.name, keep)
      else await disk.remove(last.name)
      last.bytes = keep
      if (keep === 0) segments.pop()
    } else {
      // not what a crash leaves; where it ends is what is right of it
      const end = rightBatches(bytes).at(-1)
      await setAside(
        last,
        end == null ? undefined : lastSeq(end),
        why ?? 'something in the middle is not what was written'
      )
    }
  }
  for (const hole of holes.list.filter(({ to }) => to > head.seq)) {
    onFound(`entries ${hole.from} to ${hole.to}, behind which nothing is kept, are missing`)
    await holes.close(hole)
  }

  function verifyBytes(bytes: Uint8Array, before?: Head) {
    const scan = scanRecords(bytes)
    const { right, why, ended } = verifyRecords(scan, before)
    const isWhole = right === scan.records.length
    return {
      scan,
      why,
      ended,
      isRight: isWhole && scan.state === 'whole' && ended != null,
      keep: isWhole ? scan.rightBytes : scan.records[right]!.offset
    }
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
    for (;;) {
      const known = indexes.get(segment.name)
      if (known != null) return known
      const { name, bytes } = segment
      const scan = scanRecords(await disk.read(name, 0, bytes))
      // it may have grown meanwhile
      if (bytes !== segment.bytes) continue
      if (scan.state !== 'whole') throw new DamageError(segment, 'its checksums are wrong')
      return remember(segment, scan.records)
    }
  }

  /** What is right in a segment that as a whole is not: each batch is signed. */
  function rightBatches(bytes: Uint8Array): Batch[] {
    const batches: Batch[] = []
    for (const payload of rightRecords(bytes)) {
      try {
        const batch = decodeBatch(payload)
        verifyBatch(chain, undefined, batch, isSigned)
        batches.push(batch)
      } catch (error) {
        if (!(error instanceof ChainError || error instanceof EntryError)) throw error
      }
    }
    return batches
  }

  async function rename(segment: Segment): Promise<void> {
    await disk.rename(segment.name, `${segment.name}.${Date.now()}.damaged`)
    indexes.delete(segment.name)
    segments.splice(segments.indexOf(segment), 1)
  }

  /**
   * The segment is no longer used. What is right in it is kept; the rest, up to the entry `to`, is missing until others
   * give it back.
   */
  async function setAside(segment: Segment, to: number | undefined, why: string): Promise<void> {
    if (!segments.includes(segment)) return
    onFound(`${segment.name}: ${why}`)
    const bytes = await disk.read(segment.name, 0, segment.bytes)
    if (to != null) await holes.add({ from: segment.from, to })
    await rename(segment)
    await salvage(bytes)
  }

  const setAsideSerially = ({ segment, message }: DamageError): Promise<void> =>
    serially(() => {
      const next = segments[segments.indexOf(segment) + 1]
      return setAside(segment, next == null ? head.seq : next.from - 1, message)
    })

  async function salvage(bytes: Uint8Array): Promise<void> {
    for (let rest = rightBatches(bytes); rest.length > 0; ) {
      const merged = merge(rest, rest[0]!.from)
      await putBack(merged)
      rest = rest.filter(({ from }) => from > lastSeq(merged))
    }
  }

  async function putBack(batch: Batch): Promise<void> {
    if (holes.at(batch.from) == null) return
    const segment = open(batch.from)
    await write(segment, batch)
    segments.push(segment)
    segments.sort((a, b) => a.from - b.from)
    await holes.close({ from: batch.from, to: lastSeq(batch) })
  }

  async function read(from: number): Promise<Batch | undefined> {
    for (let i = 0; i < READ_TRIES; i++) {
      try {
        return await readOnce(from)
      } catch (error) {
        if (!(error instanceof DamageError)) throw error
        // what is right of it is read then
        await setAsideSerially(error)
      }
    }
    return undefined
  }

  async function readOnce(from: number): Promise<Batch | undefined> {
    const at = segments.findLastIndex(segment => segment.from <= from)
    const segment = segments[at]
    if (segment == null || from > head.seq || holes.at(from) != null) return undefined
    const { seqs, offsets } = await indexOf(segment)
    const begin = seqs.findLastIndex(seq => seq <= from)
    let end = begin + 1
    const limit = offsets[begin]! + MAX_BATCH_BYTES
    while (end < seqs.length && (offsets[end + 1] ?? segment.bytes) <= limit) end++
    const offset = offsets[begin]!
    const bytes = await disk.read(segment.name, offset, (offsets[end] ?? segment.bytes) - offset)
    const { records, state } = scanRecords(bytes)
    if (records.length < end - begin || state !== 'whole')
      throw new DamageError(segment, `what is kept from entry ${seqs[begin]} on is not what was written`)
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

  const first = (): number => Math.min(segments[0]?.from ?? head.seq + 1, holes.list[0]?.from ?? head.seq + 1)

  return {
    chain,
    get head() {
      return head
    },
    get first() {
      return first()
    },
    get bytes() {
      return segments.reduce((sum, { bytes }) => sum + bytes, 0)
    },
    segments,
    holes: holes.list,
    read,
    next(from) {
      if (holes.at(from) != null) return undefined
      const behind = [...segments, ...holes.list].map(each => each.from).filter(each => each > from)
      return behind.length === 0 ? undefined : Math.min(...behind)
    },

    append: (batch, after) =>
      serially(async () => {
        if (batch.from <= head.seq) throw new ChainError(batch.from, `entry ${batch.from} is there already`)
        const last = segments.at(-1)
        // in one segment each entry follows the one before
        const follows = batch.from === head.seq + 1 && holes.at(head.seq) == null
        const fits = last != null && last.bytes < segmentBytes && follows
        const segment = fits ? last : open(batch.from)
        await write(segment, batch)
        if (!fits) segments.push(segment)
        head = after
      }),

    hashAt,

    async repair(batch) {
      const { entries, hashes } = verifyBatch(chain, undefined, batch, isSigned)
      const last = lastSeq(batch)
      const hole = holes.at(batch.from)
      if (hole == null) return
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
      await serially(() => putBack(batch))
    },

    giveUp: hole => serially(() => holes.close(hole)),

    async scrub(signal) {
      let wrong = 0
      let before: Head | undefined
      for (const segment of [...segments]) {
        signal?.throwIfAborted()
        const { name, from, bytes } = segment
        // let go since
        if (!segments.includes(segment)) continue
        const { isRight, why, ended } = verifyBytes(
          await disk.read(name, 0, bytes),
          before?.seq === from - 1 ? before : undefined
        )
        before = isRight ? ended : undefined
        if (!isRight && segments.includes(segment)) {
          wrong++
          await setAsideSerially(new DamageError(segment, why ?? 'its checksums are wrong'))
        }
        await new Promise(setImmediate)
      }
      return wrong
    },

    dropOldest: () =>
      serially(async () => {
        const [oldest, next] = segments
        if (oldest == null || next == null) return 0
        const from = first()
        // the file first: a full disk can always unlink
        await disk.remove(oldest.name)
        segments.shift()
        indexes.delete(oldest.name)
        if (from < next.from) await holes.close({ from, to: next.from - 1 })
        return next.from - from
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
    if (batch.from !== from + entries.length) break
    bytes += sizeOf(batch.entries)
    if (entries.length + batch.entries.length > MAX_BATCH_ENTRIES || bytes > MAX_BATCH_BYTES) break
    entries.push(...batch.entries)
    signature = batch.signature
  }
  return { from, entries, signature }
}
