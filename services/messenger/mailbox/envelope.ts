import { z } from 'zod'
import { bytesOf, hash32, hashOf, pack, toHex, unpack } from '../core/codec.ts'
import { BLOB_BYTES } from '../core/event.ts'

/* What mailboxes keep: an address that tells them nothing, and bytes that they cannot read. */

export const MAX_ENVELOPE_BYTES = BLOB_BYTES + 64 * 1024

const tuple = z.tuple([z.literal(1), hash32, bytesOf(1, MAX_ENVELOPE_BYTES)])

export interface Envelope {
  /** hex of the hash of the whole */
  id: string
  whole: Uint8Array
  address: Uint8Array
  bytes: Uint8Array
}

export const putInto = (address: Uint8Array, bytes: Uint8Array): Uint8Array => pack([1, address, bytes])

/** @throws {MalformedMessageError} */
export function readEnvelope(whole: Uint8Array): Envelope {
  const [, address, bytes] = unpack(tuple, whole, MAX_ENVELOPE_BYTES, 'an envelope')
  return { id: toHex(hashOf(whole)), whole, address, bytes }
}

/** What one put or push carries at most. */
export const MAX_PAGE = 64
export const PAGE_BYTES = 1024 * 1024

/** The first of these that fit into one put or push; one of them always does. */
export function inOnePage<T>(rows: Iterable<T>, bytesOf: (row: T) => number): T[] {
  const page: T[] = []
  let bytes = 0
  for (const row of rows) {
    bytes += bytesOf(row)
    if (page.length > 0 && bytes > PAGE_BYTES) break
    page.push(row)
    if (page.length === MAX_PAGE) break
  }
  return page
}

/** Where invitations of a device are put. */
export const inboxOf = (device: string): Uint8Array => hashOf(pack(['inbox', device]))
