import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { FetchError, FetchTooLongError } from './errors.ts'

export const ACCEPT_ENCODING = 'gzip, deflate, br'

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress
}

/**
 * The whole body, decompressed. What is counted is what comes out, so a small bomb is stopped where it grows.
 *
 * @throws {FetchTooLongError}
 * @throws {FetchError} a coding that was not asked for, or more than one
 */
export async function readBody(
  body: Readable,
  { coding, maxBytes, url }: { coding: string; maxBytes: number; url: string }
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  // what goes wrong comes out of the loop; once that is left, the end of the connection is nobody's error
  body.on('error', () => {})
  try {
    for await (const chunk of decoded(body, coding, url)) {
      size += (chunk as Uint8Array).byteLength
      if (size > maxBytes) throw new FetchTooLongError(`${url} has more than ${maxBytes} bytes`)
      chunks.push(chunk as Uint8Array)
    }
  } finally {
    body.destroy()
  }
  return Buffer.concat(chunks, size)
}

function decoded(body: Readable, coding: string, url: string): Readable {
  const name = coding.trim().toLowerCase()
  if (name === '' || name === 'identity') return body
  const decoder = DECODERS[name]?.()
  if (decoder == null)
    throw new FetchError(`${url} is sent as "${name.slice(0, 40)}", which was not asked for`)
  // an error of either ends the other, and comes out of the loop
  return pipeline(body, decoder, () => {}) as unknown as Readable
}
