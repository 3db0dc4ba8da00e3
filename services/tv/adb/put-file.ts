import { createHash } from 'node:crypto'
import { TvFailedError } from '../errors.ts'
import type { CallOptions, Link } from './link.ts'
import { commandLine } from './quote.ts'

const PARTIAL = '.part'

/**
 * Writes a file so that nobody ever sees half of it: beside it, read back by its hash on the TV, then moved. What is
 * there already under that name is written anew.
 *
 * @param sha256 of the whole, in hex
 * @throws {TvFailedError} no room, or the TV has other bytes than were sent; nothing stays then
 */
export async function putFile(
  link: Link,
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  sha256: string,
  options: CallOptions = {}
): Promise<void> {
  const partial = `${path}${PARTIAL}`
  const hash = createHash('sha256')
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      hash.update(chunk)
      yield chunk
    }
  }
  try {
    await link.push(partial, hashed(), options)
    if (hash.digest('hex') !== sha256) throw new TvFailedError(`what was sent as ${path} is not ${sha256}`)
    const there = await hashOf(link, partial, options)
    if (there !== sha256)
      throw new TvFailedError(`the TV has ${there ?? 'nothing'} as ${path}, not ${sha256}`)
    const { code, out, err } = await link.run(commandLine('mv', '-f', partial, path), options)
    if (code !== 0) throw new TvFailedError(`${path} cannot be moved there: ${Buffer.concat([out, err])}`)
  } catch (error) {
    // a TV that is gone keeps the part under its own name, and the next time writes it anew
    await link.run(commandLine('rm', '-f', partial), options).catch(() => undefined)
    throw error
  }
}

/** SHA-256 of a file of the TV; undefined: it has none of that name. */
export async function hashOf(
  link: Link,
  path: string,
  options: CallOptions = {}
): Promise<string | undefined> {
  const { out } = await link.run(commandLine('sha256sum', path), options)
  return /^[\da-f]{64}(?=\s)/.exec(Buffer.from(out).toString())?.[0]
}
