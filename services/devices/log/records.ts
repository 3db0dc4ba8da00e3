import { crc32 } from 'node:zlib'

/*
 * A file of records: length and CRC-32 as 4 bytes each, low byte first, then the bytes. The checksum is there to find
 * where a write was cut off; what was altered on purpose is found by hashes and signatures.
 */

export const HEADER_BYTES = 8
/** The largest batch with its frame. */
export const MAX_RECORD_BYTES = 512 * 1024

export function frameRecord(payload: Uint8Array): Uint8Array {
  const record = new Uint8Array(HEADER_BYTES + payload.length)
  const view = new DataView(record.buffer)
  view.setUint32(0, payload.length, true)
  view.setUint32(4, crc32(payload), true)
  record.set(payload, HEADER_BYTES)
  return record
}

/** The whole and right record at `offset`, or undefined. */
export function recordAt(bytes: Uint8Array, offset: number): Uint8Array | undefined {
  if (offset + HEADER_BYTES > bytes.length) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset)
  const length = view.getUint32(0, true)
  const end = offset + HEADER_BYTES + length
  if (length === 0 || length > MAX_RECORD_BYTES || end > bytes.length) return undefined
  const payload = bytes.subarray(offset + HEADER_BYTES, end)
  return crc32(payload) === view.getUint32(4, true) ? payload : undefined
}

/** What a record at `offset` takes, as its length says. */
export const recordBytes = (bytes: Uint8Array, offset: number): number =>
  offset + HEADER_BYTES > bytes.length
    ? 0
    : HEADER_BYTES + new DataView(bytes.buffer, bytes.byteOffset + offset).getUint32(0, true)

export interface Scan {
  /** where each record begins, and what is in it */
  records: { offset: number; payload: Uint8Array }[]
  /** bytes up to the end of the last right record before the first wrong one */
  rightBytes: number
  /** whole: nothing else; torn: a write was cut off at the end; damaged: something right comes behind something wrong */
  state: 'whole' | 'torn' | 'damaged'
}

export function scanRecords(bytes: Uint8Array): Scan {
  const records: Scan['records'] = []
  let offset = 0
  for (;;) {
    const payload = recordAt(bytes, offset)
    if (payload == null) break
    records.push({ offset, payload })
    offset += HEADER_BYTES + payload.length
  }
  if (offset === bytes.length) return { records, rightBytes: offset, state: 'whole' }
  for (let at = offset + 1; at < bytes.length; at++)
    if (recordAt(bytes, at) != null) return { records, rightBytes: offset, state: 'damaged' }
  return { records, rightBytes: offset, state: 'torn' }
}

/** Every right record, also those behind something wrong. */
export function* rightRecords(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const payload = recordAt(bytes, at)
    if (payload != null) yield payload
    at += payload == null ? 1 : HEADER_BYTES + payload.length
  }
}
