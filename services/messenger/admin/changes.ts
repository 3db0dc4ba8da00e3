import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { isEqual } from '../core/codec.ts'
import { MalformedMessageError } from '../errors.ts'

/*
 * What an hour changed of a database: its pages that are not those of a base. A file of changes is how many pages the whole
 * has, and then each changed page behind its number.
 */

const PAGE_BYTES = 4096
const NUMBER_BYTES = 4
const CHUNK_BYTES = 256 * PAGE_BYTES

/** Gives a file from its beginning in parts of whole pages. */
export type GiveParts = (take: (part: Uint8Array) => Promise<void>) => Promise<void>

const numberOf = (value: number): Uint8Array => {
  const bytes = new Uint8Array(NUMBER_BYTES)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}
const readNumber = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at)

async function readAt(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, at)
  return buffer.subarray(0, bytesRead)
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part as Uint8Array)
  return hash.digest('hex')
}

/** Writes to `to` what the database at `from` has other than its base. */
export async function writeChanges(base: GiveParts, from: string, to: string): Promise<void> {
  await using source = await open(from)
  await using sink = await open(to, 'w', 0o600)
  const { size } = await source.stat()
  await sink.writeFile(numberOf(size / PAGE_BYTES))
  let done = 0
  async function compare(before: Uint8Array): Promise<void> {
    const now = await readAt(source, done, before.length)
    for (let at = 0; at < now.length; at += PAGE_BYTES) {
      const page = now.subarray(at, at + PAGE_BYTES)
      if (isEqual(page, before.subarray(at, at + PAGE_BYTES))) continue
      await sink.writeFile(Buffer.concat([numberOf((done + at) / PAGE_BYTES), page]))
    }
    done += before.length
  }
  await base(compare)
  const nothing = new Uint8Array(CHUNK_BYTES)
  while (done < size) await compare(nothing)
}

/**
 * Makes of the base at `path` what it was changed to.
 *
 * @throws {MalformedMessageError} these are no changes
 */
export async function applyChanges(path: string, changes: GiveParts): Promise<void> {
  await using file = await open(path, 'r+')
  let rest: Uint8Array = new Uint8Array()
  let pages: number | undefined
  await changes(async part => {
    rest = Buffer.concat([rest, part])
    let at = 0
    if (pages == null && rest.length >= NUMBER_BYTES) {
      pages = readNumber(rest, 0)
      at = NUMBER_BYTES
    }
    for (; rest.length - at >= NUMBER_BYTES + PAGE_BYTES; at += NUMBER_BYTES + PAGE_BYTES) {
      const page = rest.subarray(at + NUMBER_BYTES, at + NUMBER_BYTES + PAGE_BYTES)
      await file.write(page, 0, PAGE_BYTES, readNumber(rest, at) * PAGE_BYTES)
    }
    rest = rest.subarray(at)
  })
  if (pages == null || rest.length > 0) throw new MalformedMessageError('changes of a backup are cut off')
  await file.truncate(pages * PAGE_BYTES)
}
