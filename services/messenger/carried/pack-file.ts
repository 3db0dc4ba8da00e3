import { randomBytes } from 'node:crypto'
import type { Messenger } from '../assemble.ts'
import { hashOf, toHex } from '../core/codec.ts'
import { MAX_DEVICES } from '../core/generation.ts'
import { inOnePage } from '../mailbox/envelope.ts'
import { type Frame, writeFrames } from './format.ts'

/** Messages and invitations have less; parts of files have more. */
const SMALL_BYTES = 128 * 1024

export interface Wanted {
  /** what came here before is left out */
  sinceMs: number
  /** of mail */
  maxBytes: number
  files: boolean
}
export interface Packed {
  statements: number
  packages: number
  envelopes: number
  /** that had no room */
  left: number
}
type Row = { n: number; bytes: Uint8Array }

/**
 * What another part of the school may lack, as a file for whoever goes there: the roster with its votes, a key package of each
 * device that left some here, and the mail, sealed as it is. It is told in `packed` as it goes.
 */
export function packFile(
  node: Pick<Messenger, 'db' | 'school' | 'signer' | 'self' | 'mailbox'>,
  wanted: Wanted,
  packed: Packed,
  nowMs: number
): AsyncGenerator<Uint8Array> {
  const { db, school, signer, self, mailbox } = node
  const head = {
    school: school.known().school,
    device: self,
    nonce: new Uint8Array(randomBytes(16)),
    timeMs: nowMs
  }
  return writeFrames(signer, head, frames())

  function* frames(): Generator<Frame> {
    yield* statements()
    yield* packages()
    let bytes = 0
    for (const page of pages()) {
      const fit = page.filter(({ length }) => {
        const fits = bytes + length <= wanted.maxBytes
        if (fits) bytes += length
        return fits
      })
      packed.envelopes += fit.length
      packed.left += page.length - fit.length
      if (fit.length > 0) yield { kind: 'mail', body: fit }
    }
  }

  function* statements(): Generator<Frame> {
    // who has the school has its founding
    for (let from = 1; ; ) {
      const entries = school.entries(from)
      if (entries.length === 0) return
      const at = from
      yield {
        kind: 'statements',
        body: entries.map(({ statement, decision }, i) => [
          at + i,
          statement.bytes,
          statement.signature,
          decision!
        ])
      }
      from += entries.length
      packed.statements += entries.length
    }
  }

  /** Only last resorts: one that two take is of no use to the second. */
  function* packages(): Generator<Frame> {
    const own = db.prepare('SELECT publicBytes AS bytes FROM ownPackage WHERE isLast = 1 LIMIT 1').get()
    const others = db.prepare('SELECT device, bytes FROM package WHERE isLast = 1 AND device <> ?').all(self)
    const all = [...(own == null ? [] : [{ device: self, ...own }]), ...others] as unknown as {
      device: string
      bytes: Uint8Array
    }[]
    for (let at = 0; at < all.length; at += MAX_DEVICES)
      yield {
        kind: 'packages',
        body: all.slice(at, at + MAX_DEVICES).map(({ device, bytes }) => [device, bytes])
      }
    packed.packages = all.length
  }

  /** What people write comes before files, and the newest files before older ones. */
  function* pages(): Generator<Uint8Array[]> {
    const { sinceMs, files } = wanted
    const small = db.prepare(
      `SELECT position AS n, bytes FROM envelope
       WHERE position > ? AND at >= ? AND length(bytes) <= ${SMALL_BYTES} ORDER BY position`
    )
    const large = db.prepare(
      `SELECT position AS n, bytes FROM envelope
       WHERE position < ? AND at >= ? AND length(bytes) > ${SMALL_BYTES} ORDER BY position DESC`
    )
    const outbox = db.prepare('SELECT n, envelope AS bytes FROM outbox WHERE n > ? ORDER BY n')
    yield* paged(0, n => small.iterate(n, sinceMs))
    // once, whichever mailboxes lack it
    const sent = new Set<string>()
    for (const page of paged(0, n => outbox.iterate(n)))
      yield page.filter(bytes => {
        const id = toHex(hashOf(bytes))
        if (sent.has(id) || mailbox.store.get(id) != null) return false
        sent.add(id)
        return files || bytes.length <= SMALL_BYTES
      })
    if (files) yield* paged(Number.MAX_SAFE_INTEGER, n => large.iterate(n, sinceMs))
  }
}

function* paged(from: number, rowsFrom: (n: number) => Iterable<unknown>): Generator<Uint8Array[]> {
  for (let n = from; ; ) {
    const rows = inOnePage(rowsFrom(n) as Iterable<Row>, ({ bytes }) => bytes.length)
    const last = rows.at(-1)
    if (last == null) return
    yield rows.map(({ bytes }) => bytes)
    n = last.n
  }
}
