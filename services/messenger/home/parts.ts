import { RequestError } from '../../host/index.ts'
import { PART_BYTES } from '../messages.ts'

/** A text in frames. */
export function* inParts(text: string): Generator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += PART_BYTES) yield bytes.subarray(at, at + PART_BYTES)
}

/** @throws {RequestError} it is longer than `maxBytes`, in more parts than that takes, or no JSON */
export async function fromParts(parts: AsyncIterable<Uint8Array>, maxBytes: number): Promise<unknown> {
  const taken: Uint8Array[] = []
  let size = 0
  for await (const part of parts) {
    size += part.length
    // thousands of small parts would take much more memory than their bytes
    if (size > maxBytes || taken.length > maxBytes / PART_BYTES)
      throw new RequestError(`more than ${maxBytes} bytes came, or in too small parts`)
    taken.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(taken).toString())
  } catch (error) {
    throw new RequestError(`what came is no JSON: ${(error as Error).message}`)
  }
}
