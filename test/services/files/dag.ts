import { hash } from 'node:crypto'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create } from 'multiformats/hashes/digest'

export interface Block {
  cid: CID
  bytes: Uint8Array
}

const SHA_256 = 0x12

function block(code: number, bytes: Uint8Array): Block {
  return { cid: CID.createV1(code, create(SHA_256, hash('sha256', bytes, 'buffer'))), bytes }
}

/** A block that says it is UnixFS and is not. */
export const garbage = (bytes: string): Block => block(dagPb.code, Buffer.from(bytes))

export const leaf = (content: string | Uint8Array): Block => block(raw.code, Buffer.from(content))

export const node = (unixfs: UnixFS, links: { Name?: string; Hash: CID }[]): Block =>
  block(dagPb.code, dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links: links })))

/** A file node over parts that claim these sizes. */
export function fileOf(parts: { cid: CID; size: number | bigint }[]): Block {
  const unixfs = new UnixFS({ type: 'file', blockSizes: parts.map(({ size }) => BigInt(size)) })
  return node(
    unixfs,
    parts.map(({ cid }) => ({ Name: '', Hash: cid }))
  )
}

export const folderOf = (entries: Record<string, CID>): Block =>
  node(
    new UnixFS({ type: 'directory' }),
    Object.entries(entries).map(([Name, Hash]) => ({ Name, Hash }))
  )
