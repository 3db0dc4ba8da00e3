import { hash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import type { AbortOptions } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'
import { DataMissingError, SpecError } from '../errors.ts'

/**
 * Data by CID. Up to one chunk it is a raw block; more is a dag-cbor root `{ size, chunks: [CID, …] }` over raw blocks
 * of CHUNK_BYTES each, the last one shorter. So the chunk of any byte is known without a look at the others.
 */

/** What the scheduler uses of a block store, such as Helia's. */
export interface Blocks {
  get(cid: CID, options?: AbortOptions): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  has(cid: CID, options?: AbortOptions): boolean | Promise<boolean>
  put(cid: CID, bytes: Uint8Array, options?: AbortOptions): CID | Promise<CID>
}

export interface Data {
  cid: string
  size: number
  /** SHA-256 of each chunk */
  chunks: Uint8Array[]
}

export const CHUNK_BYTES = 1 << 20
const SHA_256 = 0x12
const DAG_CBOR = 0x71
// The root stays one block that any block exchange carries: 25,000 chunks are 24 GiB.
const MAX_CHUNKS = 25_000
// Puts under way: the disk's queue is never empty, and few chunks are in memory.
const PUTS = 4
// Chunks that are looked for at the same time; the store has as many threads as it likes.
const CHECKS = 32

export const digestOfBlock = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer')

export const chunkCid = (digest: Uint8Array): CID => CID.createV1(raw.code, createDigest(SHA_256, digest))

/** Puts data into the block store; gives its CID and size in bytes. Throws SpecError above 24 GiB. */
export async function addData(
  blocks: Blocks,
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options?: { signal?: AbortSignal }
): Promise<{ cid: string; size: number }> {
  const chunks: CID[] = []
  const puts = new Set<Promise<unknown>>()
  let size = 0
  for await (const chunk of inChunks(source)) {
    options?.signal?.throwIfAborted()
    if (chunks.length === MAX_CHUNKS)
      throw new SpecError('cid', `the data is larger than ${MAX_CHUNKS} MiB; split it into several jobs`)
    const cid = chunkCid(digestOfBlock(chunk))
    chunks.push(cid)
    size += chunk.length
    const put: Promise<unknown> = Promise.resolve(blocks.put(cid, chunk, options)).then(() =>
      puts.delete(put)
    )
    put.catch(() => {}) // it stays among them, and whoever waits for them next sees it
    puts.add(put)
    if (puts.size >= PUTS) await Promise.race(puts)
  }
  await Promise.all(puts)
  if (chunks.length === 1) return { cid: chunks[0]!.toString(), size }
  const root = encode({ size, chunks })
  const cid = CID.createV1(DAG_CBOR, createDigest(SHA_256, digestOfBlock(root)))
  await blocks.put(cid, root, options)
  return { cid: cid.toString(), size }
}

/** Cuts a stream of bytes into chunks of CHUNK_BYTES; the last one, also of nothing, may be shorter. */
async function* inChunks(
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(CHUNK_BYTES)
  let used = 0
  let any = false
  for await (const bytes of source) {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + CHUNK_BYTES - used)
      chunk.set(part, used)
      used += part.length
      at += part.length
      if (used < CHUNK_BYTES) continue
      yield chunk
      any = true
      chunk = new Uint8Array(CHUNK_BYTES)
      used = 0
    }
  }
  if (used > 0 || !any) yield chunk.subarray(0, used)
}

/** The CID of a text, or undefined where it is none that data can have (raw or dag-cbor under SHA-256). */
export function readCid(text: string): CID | undefined {
  try {
    const cid = CID.parse(text)
    const known = cid.code === raw.code || cid.code === DAG_CBOR
    return known && cid.multihash.code === SHA_256 ? cid : undefined
  } catch {
    // not a CID at all
    return undefined
  }
}

/** Reads the list of chunks. Throws DataMissingError, also when the root is not one of ours. */
export async function openData(blocks: Blocks, text: string, options: AbortOptions): Promise<Data> {
  const cid = readCid(text)
  if (cid == null) throw new DataMissingError(text, 'is not a CID of data (raw or dag-cbor, SHA-256)')
  const root = await readBlock(blocks, cid, options)
  if (cid.code === raw.code) return { cid: text, size: root.length, chunks: [cid.multihash.digest] }
  const { size, chunks } = (decodeRoot(root) ?? {}) as { size?: unknown; chunks?: unknown }
  const right =
    Number.isSafeInteger(size) &&
    Array.isArray(chunks) &&
    chunks.length <= MAX_CHUNKS &&
    chunks.length === Math.ceil((size as number) / CHUNK_BYTES) &&
    chunks.every(chunk => CID.asCID(chunk)?.code === raw.code && chunk.multihash.code === SHA_256)
  if (!right) throw new DataMissingError(text, 'is not a root of data that `artel run --file` makes')
  return { cid: text, size: size as number, chunks: chunks.map((chunk: CID) => chunk.multihash.digest) }
}

function decodeRoot(root: Uint8Array): unknown {
  try {
    return decode(root)
  } catch {
    // told as a wrong root
    return undefined
  }
}

/** Throws DataMissingError for the first chunk that is neither here nor found by the block store in time. */
export async function expectChunks(blocks: Blocks, data: Data, options: AbortOptions): Promise<void> {
  for (let at = 0; at < data.chunks.length; at += CHECKS)
    await Promise.all(
      data.chunks.slice(at, at + CHECKS).map(async digest => {
        const cid = chunkCid(digest)
        if (!(await blocks.has(cid, options))) await readBlock(blocks, cid, options)
      })
    )
}

/** All bytes of the data. */
export async function readData(blocks: Blocks, data: Data, options: AbortOptions): Promise<Uint8Array> {
  const bytes = new Uint8Array(data.size)
  for (const [i, digest] of data.chunks.entries())
    bytes.set(await readBlock(blocks, chunkCid(digest), options), i * CHUNK_BYTES)
  return bytes
}

/** The data block by block, each read when the one before was taken. `signalOf`: how long one may take. */
export async function* chunksOf(
  blocks: Blocks,
  data: Data,
  signalOf: () => AbortSignal
): AsyncGenerator<Uint8Array> {
  for (const digest of data.chunks) yield await readBlock(blocks, chunkCid(digest), { signal: signalOf() })
}

/** One block. Throws DataMissingError when the store has none. */
export async function readBlock(blocks: Blocks, cid: CID, options: AbortOptions): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  try {
    for await (const part of blocks.get(cid, options)) parts.push(part)
  } catch (err) {
    throw new DataMissingError(cid.toString(), `cannot be had: ${(err as Error).message}`)
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}
