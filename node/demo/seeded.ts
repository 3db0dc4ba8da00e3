import { createCipheriv, createHash, hash } from 'node:crypto'

const CHUNK_BYTES = 1 << 20

/** Any number of bytes out of a text, the same every time: ChaCha20 under its SHA-256 and a nonce of zeros (RFC 8439). */
export async function* seeded(seed: string, bytes: number): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv('chacha20', hash('sha256', seed, 'buffer'), Buffer.alloc(16))
  const zeros = Buffer.alloc(CHUNK_BYTES)
  for (let left = bytes; left > 0; left -= zeros.length) yield cipher.update(zeros.subarray(0, left))
}

/** SHA-256 of a stream, in hex. */
export async function digest(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of bytes) hash.update(chunk)
  return hash.digest('hex')
}
