import { createReadStream, type Dirent } from 'node:fs'
import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { unixfs } from '@helia/unixfs'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import type { CID } from 'multiformats/cid'
import { DagError, FilePathError } from './errors.ts'
import { checkName } from './names.ts'

const READ_BYTES = 1 << 20
/** The tree of a folder is in memory until it is whole: about 1 KB for each. */
const MAX_ENTRIES = 100_000

/** What `ipfs add --cid-version 1 --raw-leaves` does, so that the same bytes have the same CID everywhere. */
export const importSettings = (chunkBytes = 262_144) => ({
  cidVersion: 1 as const,
  rawLeaves: true,
  reduceSingleLeafToSelf: true,
  chunker: fixedSize({ chunkSize: chunkBytes }),
  layout: balanced({ maxChildrenPerNode: 174 }),
  shardSplitThresholdBytes: 262_144,
  shardSplitStrategy: 'links-bytes' as const,
  shardFanoutBits: 8,
  // blocks in memory: 4 files of 4 blocks each
  fileImportConcurrency: 4,
  blockWriteConcurrency: 4
})

export interface Candidate {
  /** names joined with slashes; the first is that of the root */
  path: string
  /** undefined: a folder */
  content?: AsyncIterable<Uint8Array>
}

export interface Imported {
  cid: string
  type: 'file' | 'folder'
  size: number
}

/** Cuts files and folders into blocks, gives each block to `put`, and tells the CID of the root. */
export async function importFiles(
  candidates: AsyncIterable<Candidate> | Iterable<Candidate>,
  put: (cid: CID, bytes: Uint8Array) => Promise<void>,
  settings = importSettings()
): Promise<Imported> {
  let size = 0
  let entries = 0
  async function* counted() {
    for await (const { path, content } of candidates) {
      if (++entries > MAX_ENTRIES)
        throw new DagError(`more than ${MAX_ENTRIES} files and folders in one; add its parts`)
      yield content == null ? { path } : { path, content: countBytes(content) }
    }
  }
  async function* countBytes(content: AsyncIterable<Uint8Array>) {
    for await (const bytes of content) {
      size += bytes.length
      yield bytes
    }
  }
  const blockstore = {
    async put(cid: CID, bytes: Uint8Array) {
      await put(cid, bytes)
      return cid
    }
  }
  let root: { cid: CID; unixfs?: { isDirectory(): boolean } } | undefined
  for await (const entry of unixfs({ blockstore: blockstore as never }).addAll(counted(), settings))
    root = entry
  if (root == null) throw new DagError('there is nothing to add')
  return { cid: root.cid.toString(), type: root.unixfs?.isDirectory() ? 'folder' : 'file', size }
}

/**
 * The file or folder at a path of this machine, under `name`. Like `ipfs add`, it leaves out what begins with a dot;
 * and it follows no symbolic link, so that nothing outside the folder is shared by accident.
 *
 * @throws {FilePathError}
 * @throws {FileNameError} the name of an entry
 */
export async function* readPath(path: string, name: string): AsyncGenerator<Candidate> {
  let kind: Awaited<ReturnType<typeof stat>>
  try {
    kind = await stat(path)
  } catch (error) {
    throw new FilePathError(`cannot read ${path}: ${(error as Error).message}`)
  }
  if (kind.isDirectory()) yield* readFolder(path, name)
  else if (kind.isFile()) yield { path: name, content: readBytes(path) }
  else throw new FilePathError(`${path} is neither a file nor a folder`)
}

async function* readFolder(path: string, name: string): AsyncGenerator<Candidate> {
  yield { path: name }
  const inside: Dirent[] = []
  for await (const entry of await opendir(path)) if (!entry.name.startsWith('.')) inside.push(entry)
  inside.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of inside) {
    const [from, to] = [join(path, entry.name), `${name}/${checkName(entry.name)}`]
    if (entry.isDirectory()) yield* readFolder(from, to)
    else if (entry.isFile()) yield { path: to, content: readBytes(from) }
  }
}

async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: READ_BYTES })
  } catch (error) {
    throw new FilePathError(`cannot read ${path}: ${(error as Error).message}`)
  }
}
