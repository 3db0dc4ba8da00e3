import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { isFileCid, isRaw } from './cid.ts'
import { DagError } from './errors.ts'

// kubo shards a folder before it has this many entries, and files have 174 or 1,024 parts.
const MAX_LINKS = 8192
// With 174 parts per node four levels are 240 TB; folders in folders, and the shards of large ones, come on top.
export const MAX_DEPTH = 64
// Names of the entries of a shard begin with the two hexadecimal digits of their place among 256.
const SHARD_PREFIX = 2
const SHARD_FANOUT = 256n

export interface Part {
  cid: CID
  /** bytes of the file below it */
  size: number
}

export interface Entry {
  name: string
  cid: CID
}

/** One block as UnixFS means it. */
export type DagNode =
  | { type: 'file'; size: number; data: Uint8Array; parts: Part[] }
  | { type: 'folder'; entries: Entry[]; shards: CID[] }

const NONE = new Uint8Array()

/**
 * Reads one block, and believes nothing of it: a file's parts have sizes above nothing, links are UnixFS or raw under
 * SHA-256. Names of entries are as they stand there: whoever makes files of them checks them (`names.ts`).
 *
 * @see https://specs.ipfs.tech/unixfs/
 * @throws {DagError}
 */
export function readNode(cid: CID, bytes: Uint8Array): DagNode {
  if (isRaw(cid)) return { type: 'file', size: bytes.length, data: bytes, parts: [] }
  const { links, unixfs } = decode(cid, bytes)
  for (const { Hash } of links) {
    if (!isFileCid(Hash)) throw new DagError(`${cid} has a link to ${Hash}, which is neither UnixFS nor raw`)
  }
  if (unixfs.type === 'directory')
    return {
      type: 'folder',
      entries: links.map(({ Name, Hash }) => ({ name: Name ?? '', cid: Hash })),
      shards: []
    }
  if (unixfs.type === 'hamt-sharded-directory') return shard(cid, links, unixfs)
  if (unixfs.type === 'file' || unixfs.type === 'raw') return file(cid, links, unixfs)
  throw new DagError(`${cid} is a ${unixfs.type}; files and folders are all that is taken`)
}

function decode(cid: CID, bytes: Uint8Array): { links: dagPb.PBLink[]; unixfs: UnixFS } {
  try {
    const { Data, Links } = dagPb.decode(bytes)
    if (Data == null) throw new Error('it has no data')
    if (Links.length > MAX_LINKS) throw new Error(`it has ${Links.length} links; ${MAX_LINKS} are allowed`)
    return { links: Links, unixfs: UnixFS.unmarshal(Data) }
  } catch (error) {
    throw new DagError(`${cid} is not UnixFS: ${(error as Error).message}`)
  }
}

function shard(cid: CID, links: dagPb.PBLink[], { fanout }: UnixFS): DagNode {
  if (fanout !== SHARD_FANOUT)
    throw new DagError(`${cid} is sharded by ${fanout}; ${SHARD_FANOUT} is what is read`)
  const node = { type: 'folder' as const, entries: [] as Entry[], shards: [] as CID[] }
  for (const { Name = '', Hash } of links) {
    if (Name.length > SHARD_PREFIX) node.entries.push({ name: Name.slice(SHARD_PREFIX), cid: Hash })
    else node.shards.push(Hash)
  }
  return node
}

function file(cid: CID, links: dagPb.PBLink[], { data = NONE, blockSizes }: UnixFS): DagNode {
  if (blockSizes.length !== links.length)
    throw new DagError(`${cid} has ${links.length} links and sizes of ${blockSizes.length}`)
  let size = BigInt(data.length)
  const parts = links.map(({ Hash }, i) => {
    const part = blockSizes[i]!
    if (part <= 0n) throw new DagError(`${cid} has a part of ${part} bytes`)
    size += part
    return { cid: Hash, size: Number(part) }
  })
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new DagError(`${cid} says that it is ${size} bytes`)
  return { type: 'file', size: Number(size), data, parts }
}

/** Every block that this one names. */
export function linksOf(node: DagNode): CID[] {
  return node.type === 'file'
    ? node.parts.map(part => part.cid)
    : [...node.entries.map(entry => entry.cid), ...node.shards]
}
