import { hash } from 'node:crypto'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

/** Longest text that is looked at as a CID: version 1 in base32 has 59 letters, base36 and base16 less than 80. */
const MAX_CID_CHARS = 100

/** The CID of a text (UnixFS or raw, SHA-256, either version), or undefined where it is none that files can have. */
export function readCid(text: string): CID | undefined {
  if (text.length > MAX_CID_CHARS) return undefined
  try {
    const cid = CID.parse(text)
    return isFileCid(cid) ? cid : undefined
  } catch {
    // not a CID at all
    return undefined
  }
}

export const isFileCid = (cid: CID): boolean =>
  (cid.code === raw.code || cid.code === dagPb.code) &&
  cid.multihash.code === sha256.code &&
  cid.multihash.digest.length === 32

export const isRaw = (cid: CID): boolean => cid.code === raw.code

/** Whether these bytes are the block of that CID. */
export const isBlockOf = (cid: CID, bytes: Uint8Array): boolean =>
  Buffer.compare(hash('sha256', bytes, 'buffer'), cid.multihash.digest) === 0
