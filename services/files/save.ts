import { createWriteStream } from 'node:fs'
import { lstat, mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { CID } from 'multiformats/cid'
import { MAX_DEPTH, readNode } from './dag-node.ts'
import { DagError, FilePathError } from './errors.ts'
import { checkName } from './names.ts'
import { type GetBlock, readFile, readFolder } from './read.ts'

/** As many as `add` takes. A folder that is linked to many times over is small here and endless on a disk. */
const MAX_ENTRIES = 100_000

/** All that a file or folder is when it is written out, each copy counted. */
export interface Measure {
  entries: number
  bytes: number
}

/**
 * Measures a file or folder without writing it. Each node is looked at once, so that a small DAG takes a short time
 * whatever it says it is.
 *
 * @throws {DagError} more than 100,000 entries, or more than `maxSize` bytes
 */
export async function measure(get: GetBlock, cid: CID, maxSize: number): Promise<Measure> {
  const known = new Map<string, Measure>()
  async function measureOne(at: CID, depth: number): Promise<Measure> {
    const key = at.toString()
    const before = known.get(key)
    if (before != null) return before
    if (depth > MAX_DEPTH) throw new DagError(`${cid} has folders deeper than ${MAX_DEPTH}`)
    const node = readNode(at, await get(at))
    const sum: Measure = { entries: 1, bytes: node.type === 'file' ? node.size : 0 }
    if (node.type === 'folder')
      for await (const entry of readFolder(get, at)) {
        const { entries, bytes } = await measureOne(entry.cid, depth + 1)
        sum.entries += entries
        sum.bytes += bytes
        if (sum.entries > MAX_ENTRIES)
          throw new DagError(`${cid} has more than ${MAX_ENTRIES} files and folders`)
      }
    if (sum.bytes > maxSize)
      throw new DagError(`${cid} is ${sum.bytes} bytes or more; ${maxSize} are allowed`)
    known.set(key, sum)
    return sum
  }
  return measureOne(cid, 0)
}

export interface SaveInit {
  get: GetBlock
  cid: CID
  /** what is to be made; its folder exists, it does not */
  target: string
  /** bytes of all files together */
  maxSize: number
  onBytes?(bytes: number): void
  signal: AbortSignal
}

/**
 * Writes a file or folder to a path of this machine: whole or not at all, and never over something that is there.
 * Names of strangers are checked; nothing is executable, nothing is a link.
 *
 * @throws {FilePathError}
 * @throws {FileNameError}
 * @throws {DagError} a limit
 */
export async function save({ get, cid, target, maxSize, onBytes, signal }: SaveInit): Promise<void> {
  const taken = await lstat(target).catch(() => undefined)
  if (taken != null) throw new FilePathError(`${target} is there already; name another path`)
  // the same one after a crash, which is then written anew
  const draft = join(dirname(target), `.${basename(target).slice(0, 200)}.${cid.toString().slice(-8)}.part`)
  async function* tell(bytes: AsyncIterable<Uint8Array>) {
    for await (const chunk of bytes) {
      onBytes?.(chunk.length)
      yield chunk
    }
  }
  async function write(node: CID, to: string): Promise<void> {
    signal.throwIfAborted()
    if (readNode(node, await get(node)).type === 'folder') {
      await mkdir(to, { mode: 0o755 })
      for await (const entry of readFolder(get, node)) await write(entry.cid, join(to, checkName(entry.name)))
      return
    }
    const { bytes } = await readFile(get, node, undefined, signal)
    await pipeline(tell(bytes), createWriteStream(to, { flags: 'wx', mode: 0o644 }), { signal })
  }
  await measure(get, cid, maxSize)
  try {
    await rm(draft, { recursive: true, force: true })
    await write(cid, draft)
    await rename(draft, target)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw named(error as NodeJS.ErrnoException, target)
  }
}

function named(error: NodeJS.ErrnoException, target: string): Error {
  if (error.syscall == null) return error
  return new FilePathError(`cannot write ${target}: ${error.message}`)
}
