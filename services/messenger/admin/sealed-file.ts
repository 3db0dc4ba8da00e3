import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { openWith, sealWith } from '../device/seal.ts'
import { MalformedMessageError } from '../errors.ts'

const PART_BYTES = 1024 * 1024
/** What sealing adds to a part: its nonce and tag. */
const MORE_BYTES = sealWith(new Uint8Array(32), new Uint8Array()).length

/** A part stands in its place of its file, and the last one ends it: none can be left out, moved, or come from elsewhere. */
const placeOf = (about: string, at: number, isLast: boolean): Uint8Array =>
  Buffer.from(`${about} ${at}${isLast ? ' end' : ''}`)

/** Seals a file part by part, however large it is. `about` names it. Both files are on the disk when it resolves. */
export async function sealFile(
  key: Uint8Array,
  about: string,
  from: string,
  to: string
): Promise<{ bytes: number; sha256: string }> {
  await using source = await open(from)
  await using sink = await open(to, 'w', 0o600)
  const hash = createHash('sha256')
  let bytes = 0
  for await (const { part, at, isLast } of partsOf(source, PART_BYTES)) {
    hash.update(part)
    const sealed = sealWith(key, part, placeOf(about, at, isLast))
    await sink.writeFile(sealed)
    bytes += sealed.length
  }
  await sink.sync()
  return { bytes, sha256: hash.digest('hex') }
}

/**
 * Opens what `sealFile` made, and gives it part by part; the SHA-256 of the whole.
 *
 * @throws {MalformedMessageError} damaged, or sealed with another key or as another file
 */
export async function openFile(
  key: Uint8Array,
  about: string,
  from: string,
  take: (part: Uint8Array) => unknown
): Promise<string> {
  await using source = await open(from)
  const hash = createHash('sha256')
  for await (const { part, at, isLast } of partsOf(source, PART_BYTES + MORE_BYTES)) {
    const plain = openWith(key, part, placeOf(about, at, isLast))
    hash.update(plain)
    await take(plain)
  }
  return hash.digest('hex')
}

async function* partsOf(
  file: FileHandle,
  bytes: number
): AsyncGenerator<{ part: Uint8Array; at: number; isLast: boolean }> {
  const { size } = await file.stat()
  const count = Math.max(1, Math.ceil(size / bytes))
  for (let at = 0; at < count; at++) {
    const part = new Uint8Array(Math.min(bytes, size - at * bytes))
    for (let done = 0; done < part.length; ) {
      const { bytesRead } = await file.read(part, done, part.length - done, at * bytes + done)
      if (bytesRead === 0) throw new MalformedMessageError('a file grew shorter while it was read')
      done += bytesRead
    }
    yield { part, at, isLast: at === count - 1 }
  }
}
