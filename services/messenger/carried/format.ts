import { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import {
  bytesOf,
  checkSignature,
  count,
  hash32,
  hashOf,
  isEqual,
  keyName,
  pack,
  shape,
  signAs,
  time,
  unpack
} from '../core/codec.ts'
import { MAX_DEVICES } from '../core/generation.ts'
import { MAX_STATEMENT_BYTES } from '../core/statement.ts'
import { MalformedMessageError, SchoolError } from '../errors.ts'
import { MAX_ENVELOPE_BYTES, MAX_PAGE, PAGE_BYTES } from '../mailbox/envelope.ts'
import { decisionSchema, MAX_STATEMENTS } from '../messages.ts'

/*
 * A file of mail that somebody carries. Frames, each with its length and the signature of the device that made the file; the
 * first names school and device, the last says that it is the last.
 */

const MAGIC = Buffer.from('artel mail 1\n')
const LENGTH_BYTES = 4
const SIGNATURE_BYTES = 64
const MAX_FRAME_BYTES = PAGE_BYTES + 256 * 1024

const bodies = {
  head: z.tuple([hash32, keyName, bytesOf(16), time]),
  /** of the roster, each with its place and the votes for it */
  statements: z
    .array(z.tuple([count, bytesOf(1, MAX_STATEMENT_BYTES), bytesOf(64), decisionSchema]))
    .max(MAX_STATEMENTS),
  /** of devices, one of each: its last resort, which may be used again and again */
  packages: z.array(z.tuple([keyName, bytesOf(1, 2048)])).max(MAX_DEVICES),
  mail: z.array(bytesOf(1, MAX_ENVELOPE_BYTES)).max(MAX_PAGE),
  end: z.null()
}
type Kind = keyof typeof bodies
export type Frame = { [K in Kind]: { kind: K; body: z.output<(typeof bodies)[K]> } }[Kind]
export interface Head {
  school: Uint8Array
  /** that made the file */
  device: string
  nonce: Uint8Array
  timeMs: number
}
const tuple = z.tuple([z.enum(Object.keys(bodies) as Kind[]), z.unknown()])

/** What is signed of a frame: none can be left out, moved, or come from another file. */
const placeOf = (nonce: Uint8Array, i: number, body: Uint8Array): Uint8Array => pack([nonce, i, hashOf(body)])

/** The file, piece by piece. */
export async function* writeFrames(
  signer: Signer,
  { school, device, nonce, timeMs }: Head,
  frames: Iterable<Frame>
): AsyncGenerator<Uint8Array> {
  let i = 0
  function frame({ kind, body }: Frame): Uint8Array {
    const bytes = pack([kind, body])
    const { signature } = signAs(signer, 'carried', placeOf(nonce, i++, bytes))
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE(bytes.length)
    return new Uint8Array(Buffer.concat([length, signature, bytes]))
  }
  yield MAGIC
  yield frame({ kind: 'head', body: [school, device, nonce, timeMs] })
  for (const each of frames) yield frame(each)
  yield frame({ kind: 'end', body: null })
}

/**
 * Its head, and then what it holds, each frame when its signature was checked; no more than one is held.
 *
 * @throws {SchoolError} it is of another school
 * @throws {MalformedMessageError} it is no such file, was changed, or ends before its end
 */
export async function* readFrames(
  pieces: AsyncIterable<Uint8Array>,
  school: Uint8Array
): AsyncGenerator<{ head: Head; frame: Exclude<Frame, { kind: 'head' }> | undefined }> {
  const take = takingFrom(pieces)
  const magic = await take(MAGIC.length)
  if (magic == null || !isEqual(magic, MAGIC))
    throw new MalformedMessageError('this is no file of carried mail')
  let head: Head | undefined
  for (let i = 0; ; i++) {
    const { signature, bytes } = await nextFrame(take)
    if (head != null) check(head, i, bytes, signature)
    const [kind, value] = unpack(tuple, bytes, MAX_FRAME_BYTES, 'a part of the file')
    if ((kind === 'head') !== (head == null)) throw new MalformedMessageError('a file begins with its head')
    if (head == null) {
      const [of, device, nonce, timeMs] = shape(bodies.head, value, 'the head of the file')
      if (!isEqual(of, school)) throw new SchoolError('this mail is of another school')
      head = { school: of, device, nonce, timeMs }
      check(head, i, bytes, signature)
    }
    if (kind === 'head') yield { head, frame: undefined }
    else
      yield {
        head,
        frame: { kind, body: shape(bodies[kind] as z.ZodType, value, `a part ${kind}`) } as never
      }
    if (kind === 'end') return
  }
}
const check = ({ device, nonce }: Head, i: number, bytes: Uint8Array, signature: Uint8Array): void =>
  checkSignature(device, 'carried', { bytes: placeOf(nonce, i, bytes), signature })

type Take = ReturnType<typeof takingFrom>

async function nextFrame(take: Take): Promise<{ signature: Uint8Array; bytes: Uint8Array }> {
  const begin = await take(LENGTH_BYTES + SIGNATURE_BYTES)
  if (begin != null) {
    const length = Buffer.from(begin).readUInt32BE()
    if (length > MAX_FRAME_BYTES)
      throw new MalformedMessageError(`a part of the file has ${length} bytes; at most ${MAX_FRAME_BYTES}`)
    const bytes = await take(length)
    if (bytes != null) return { signature: begin.slice(LENGTH_BYTES), bytes }
  }
  throw new MalformedMessageError('the file ends before its end: it was cut')
}

/** So many bytes of what comes in pieces; undefined: there are not so many. */
function takingFrom(pieces: AsyncIterable<Uint8Array>): (bytes: number) => Promise<Uint8Array | undefined> {
  const source = pieces[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  return async bytes => {
    const parts = [held]
    for (let have = held.length; have < bytes; ) {
      const { done, value } = await source.next()
      if (done === true) return undefined
      parts.push(Buffer.from(value))
      have += value.length
    }
    const all = Buffer.concat(parts)
    held = all.subarray(bytes)
    return new Uint8Array(all.subarray(0, bytes))
  }
}
