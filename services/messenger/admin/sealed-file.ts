import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { openWith, sealWith } from '../device/seal.ts'

const PART_BYTES = 1024 * 1024
const READ = { highWaterMark: PART_BYTES }
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
  for await (const { part, at, isLast } of inParts(source.createReadStream(READ), PART_BYTES)) {
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
  for await (const { plain } of openParts(key, about, source.createReadStream(READ))) {
    hash.update(plain)
    await take(plain)
  }
  return hash.digest('hex')
}

/**
 * The same of bytes as they come: of what this node did not seal no more than a part is held.
 *
 * @throws {MalformedMessageError}
 */
export async function* openParts(
  key: Uint8Array,
  about: string,
  pieces: AsyncIterable<Uint8Array>
): AsyncGenerator<{ plain: Uint8Array; sealed: Uint8Array }> {
  for await (const { part, at, isLast } of inParts(pieces, PART_BYTES + MORE_BYTES))
    yield { plain: openWith(key, part, placeOf(about, at, isLast)), sealed: part }
}

/** Of one length but the last, whatever the pieces have; one that is empty where there is nothing. */
async function* inParts(
  pieces: AsyncIterable<Uint8Array>,
  bytes: number
): AsyncGenerator<{ part: Uint8Array; at: number; isLast: boolean }> {
  let part = new Uint8Array(bytes)
  let filled = 0
  let at = 0
  for await (const piece of pieces)
    for (let taken = 0; taken < piece.length; ) {
      if (filled === bytes) {
        yield { part, at: at++, isLast: false }
        part = new Uint8Array(bytes)
        filled = 0
      }
      const some = piece.subarray(taken, taken + bytes - filled)
      part.set(some, filled)
      filled += some.length
      taken += some.length
    }
  yield { part: part.subarray(0, filled), at, isLast: true }
}
