import { isSignedBy } from '../../../ledger/index.ts'
import { HEAD_DOMAIN, headBytes } from '../../../services/devices/log/batch.ts'
import { openChainLog } from '../../../services/devices/log/chain-log.ts'
import { type Entry, encodeEntry, hashOf } from '../../../services/devices/log/entry.ts'
import { createRecorder } from '../../../services/devices/log/recorder.ts'
import { signerFrom } from '../../ledger/helpers.ts'
import type { MachineDisk } from '../../simulation/devices-disk.ts'

export const key = signerFrom('a device node')
export const chain = { agent: key.account, number: 0 }
export const entryOf = (seq: number, prev: Uint8Array, body: Entry['body'] = { v: seq }): Entry => ({
  fleet: 'test',
  chain,
  seq,
  prev,
  boot: 'b',
  monoMs: seq,
  timeMs: 1_800_000_000_000 + seq,
  clock: 'ntp',
  class: 'sample',
  device: 'host:1',
  kind: 'reading',
  body
})

export const batchOf = (from: number, prev: Uint8Array, count: number, number = 0, body?: Entry['body']) =>
  batchFrom(from, prev, new Array(count).fill(body === undefined ? {} : { body }), number)

/** Of entries that are as others but for that. */
export function batchFrom(from: number, prev: Uint8Array, those: readonly Partial<Entry>[], number = 0) {
  const entries: Uint8Array[] = []
  let hash = prev
  for (const [i, that] of those.entries()) {
    entries.push(encodeEntry({ ...entryOf(from + i, hash), chain: { ...chain, number }, ...that }))
    hash = hashOf(entries.at(-1)!)
  }
  const head = { seq: from + those.length - 1, hash }
  const signature = key.sign(HEAD_DOMAIN, headBytes({ ...chain, number }, head))
  return { batch: { from, entries, signature }, head }
}

export const recorderOn = async (disk: MachineDisk, segmentBytes = 2_000) => {
  const log = await openChainLog({ disk: disk.open('log'), chain, isSigned: isSignedBy, segmentBytes })
  const moment = () => ({ boot: 'b', monoMs: 0, timeMs: 0, clock: 'unset' as const })
  const recorder = createRecorder({ log, fleet: 'test', sign: key.sign, moment, onWritten: () => {} })
  const record = async (count: number): Promise<void> => {
    const all = Array.from({ length: count }, (_, v) =>
      recorder.record({ class: 'sample', device: 'd', kind: 'k', body: { v } })
    )
    await recorder.flush()
    await Promise.all(all)
  }
  return { log, recorder, record }
}
