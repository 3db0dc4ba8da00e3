import { createHash, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as digest from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import { CHUNK_BYTES } from '../peers/messages.ts'

const ZEROS = Buffer.alloc(CHUNK_BYTES)
/** What was written goes to the disk while more comes, so that the end of it waits for little. */
const FLUSH_BYTES = 16 << 20

/** A piece of a file; what lies between two pieces is zero. */
export interface Chunk {
  at: number
  bytes: Uint8Array
}

/** The name of a file by its content: SHA-256 over all of it. */
export const cidOf = (hash: Hash): string =>
  CID.createV1(raw.code, digest.create(sha256.code, hash.digest())).toString()

export async function contentOf(file: string, signal?: AbortSignal): Promise<{ bytes: number; cid: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of readFrom(file, signal)) {
    hash.update(chunk.bytes)
    bytes += chunk.bytes.length
  }
  return { bytes, cid: cidOf(hash) }
}

/** The pieces of a file that are not zero throughout. */
export async function* chunksOf(file: string, signal?: AbortSignal): AsyncGenerator<Chunk> {
  for await (const chunk of readFrom(file, signal))
    if (!ZEROS.subarray(0, chunk.bytes.length).equals(chunk.bytes)) yield chunk
}

async function* readFrom(file: string, signal?: AbortSignal): AsyncGenerator<Chunk> {
  await using handle = await open(file)
  for (let at = 0; ; ) {
    signal?.throwIfAborted()
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, at)
    if (bytesRead === 0) return
    yield { at, bytes: buffer.subarray(0, bytesRead) }
    at += bytesRead
  }
}

/**
 * Writes the pieces into a new file of so many bytes, or of at most so many where it ends with the last piece; on disk
 * when it returns.
 * @returns the name of what was written
 * @throws RangeError where a piece lies outside or before the last one
 */
export async function writeChunks(
  file: string,
  bytes: number,
  chunks: AsyncIterable<Chunk>,
  { endsEarly = false } = {}
): Promise<string> {
  const hash = createHash('sha256')
  await using handle = await open(file, 'w', 0o600)
  let end = 0
  let unflushed = 0
  let flushed: Promise<void> = Promise.resolve()
  const fill = async (to: number) => {
    for (; end < to; end = Math.min(to, end + CHUNK_BYTES)) {
      hash.update(ZEROS.subarray(0, Math.min(CHUNK_BYTES, to - end)))
      // a peer says how many they are, and nothing else of it takes time
      await setImmediate()
    }
  }
  for await (const chunk of chunks) {
    if (chunk.at < end || chunk.at + chunk.bytes.length > bytes)
      throw new RangeError(`a piece at ${chunk.at} of a file of ${bytes} bytes`)
    await fill(chunk.at)
    hash.update(chunk.bytes)
    for (let done = 0; done < chunk.bytes.length; )
      done += (await handle.write(chunk.bytes, done, undefined, chunk.at + done)).bytesWritten
    end += chunk.bytes.length
    unflushed += chunk.bytes.length
    if (unflushed < FLUSH_BYTES) continue
    unflushed = 0
    await flushed
    flushed = handle.datasync()
    flushed.catch(() => {}) // awaited with the next one
  }
  await flushed
  if (!endsEarly) await fill(bytes)
  await handle.truncate(end)
  await handle.sync()
  return cidOf(hash)
}
