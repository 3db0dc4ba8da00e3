import type { CID } from 'multiformats/cid'
import { type Entry, MAX_DEPTH, type Part, readNode } from './dag-node.ts'
import { DagError, FileRangeError, UnknownFileError } from './errors.ts'

export type GetBlock = (cid: CID) => Promise<Uint8Array>

/** Bytes `start` to `end` (exclusive) of a file; `end` Infinity is its end. */
export interface Range {
  start: number
  end: number
}

/**
 * The bytes of a file, or of a range of it. One block is in memory at a time, besides the lists of parts on the way to
 * it. (The exporter of UnixFS queues all blocks for a reader that is slow, so it is not used here.)
 *
 * @throws {DagError} no file, or its blocks are not as long as it says
 * @throws {FileRangeError} the range begins behind the end
 */
export async function readFile(
  get: GetBlock,
  cid: CID,
  { start, end }: Range = { start: 0, end: Number.POSITIVE_INFINITY },
  signal?: AbortSignal
): Promise<{ size: number; bytes: AsyncGenerator<Uint8Array> }> {
  const root = readNode(cid, await get(cid))
  if (root.type !== 'file') throw new DagError(`${cid} is a folder; name a file in it`)
  if (start > root.size || end < start)
    throw new FileRangeError(`bytes ${start}-${end} of ${cid}, which has ${root.size}`)
  const below = { start, end: Math.min(end, root.size) }
  return { size: root.size, bytes: readPart(get, { cid, size: root.size }, below, 0, signal) }
}

async function* readPart(
  get: GetBlock,
  { cid, size }: Part,
  { start, end }: Range,
  depth: number,
  signal?: AbortSignal
): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted()
  if (depth > MAX_DEPTH) throw new DagError(`${cid} is deeper than ${MAX_DEPTH} blocks`)
  const node = readNode(cid, await get(cid))
  if (node.type !== 'file' || node.size !== size)
    throw new DagError(`${cid} is not the part of ${size} bytes that the file says it is`)
  const own = node.data.subarray(Math.min(start, node.data.length), Math.min(end, node.data.length))
  if (own.length > 0) yield own
  let at = node.data.length
  for (const part of node.parts) {
    if (at >= end) return
    const range = { start: Math.max(0, start - at), end: Math.min(part.size, end - at) }
    if (range.start < part.size && range.end > range.start)
      yield* readPart(get, part, range, depth + 1, signal)
    at += part.size
  }
}

/** The entries of a folder, however large, as they stand there. Throws DagError when it is none. */
export async function* readFolder(get: GetBlock, cid: CID, depth = 0): AsyncGenerator<Entry> {
  const node = readNode(cid, await get(cid))
  if (node.type !== 'folder') throw new DagError(`${cid} is a file, not a folder`)
  if (depth > MAX_DEPTH) throw new DagError(`${cid} is deeper than ${MAX_DEPTH} blocks`)
  yield* node.entries
  for (const shard of node.shards) yield* readFolder(get, shard, depth + 1)
}

/** Follows the names of a path from a root. Throws UnknownFileError. */
export async function walkPath(get: GetBlock, root: CID, names: readonly string[]): Promise<CID> {
  let at = root
  for (const name of names) {
    let next: CID | undefined
    for await (const entry of readFolder(get, at)) {
      if (entry.name !== name) continue
      next = entry.cid
      break
    }
    if (next == null) throw new UnknownFileError(`there is no ${JSON.stringify(name.slice(0, 60))} in ${at}`)
    at = next
  }
  return at
}
