import { createHash } from 'node:crypto'
import type { Files } from '../context.ts'
import { TvFailedError } from '../errors.ts'
import type { CallOptions, Link } from './link.ts'
import { putFile } from './put-file.ts'

export interface Wanted {
  cid: string
  /** on the TV */
  path: string
  /** of the whole, in hex, where it is known */
  sha256?: string
}

/**
 * Brings a file of the network to a TV: here first, verified block by block, then there.
 *
 * @throws {TvFailedError} it is not what was said, or the TV has no room; nothing stays then
 */
export async function bringFile(
  { files, link }: { files: Files; link: Link },
  { cid, path, sha256 }: Wanted,
  options: CallOptions
): Promise<void> {
  const until = options.deadlineMs == null ? undefined : AbortSignal.timeout(options.deadlineMs)
  const signal = AbortSignal.any([options.signal, until].filter(each => each != null))
  const found = await hashOfFile(files, cid, signal)
  if (sha256 != null && found.sha256 !== sha256)
    throw new TvFailedError(`${cid} is ${found.sha256}, not ${sha256} as was said`)
  const { bytes } = await files.read(cid, { signal })
  await putFile(link, path, bytes, found.sha256, options)
}

/** Reads a file of the network whole. */
export async function hashOfFile(
  files: Files,
  file: string,
  signal?: AbortSignal
): Promise<{ cid: string; bytes: number; sha256: string }> {
  const { cid, size, bytes } = await files.read(file, { signal })
  const hash = createHash('sha256')
  for await (const chunk of bytes) hash.update(chunk)
  return { cid, bytes: size, sha256: hash.digest('hex') }
}
