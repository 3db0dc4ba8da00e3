import { fromBytes } from '../ledger/records/codec.ts'
import { decodeValue } from '../sandbox/index.ts'
import { hostileShapes } from '../test/sandbox/hostile-bytes.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { summary } from './harness/statistics.ts'

const MIB_BYTES = 2 ** 20
const SMALL_MIB = 2
const LARGE_MIB = 8
const NOISE_MS = 100 // what takes less is told from noise by nobody
const MESSAGE_ITEMS = 65_536
// four times the bytes in at most ten times the time, since small inputs are spared the copying of the garbage
// collector; a square is 4
const MOST_GROWTH = 2.5

const decoders: Record<string, (bytes: Uint8Array) => unknown> = {
  values: bytes => decodeValue(bytes),
  messages: bytes => decodeValue(bytes, { maxItems: MESSAGE_ITEMS }),
  ledger: bytes => fromBytes(bytes, bytes.length, 'a message')
}

export const metrics: Record<string, string> = {
  'decoders.values': 'hostile bytes of the slowest shape as a value, per MiB',
  'decoders.values-growth': `time per MiB of ${LARGE_MIB} MiB against ${SMALL_MIB}, the shape where it grows most: 1 is linear, ${LARGE_MIB / SMALL_MIB} square`,
  'decoders.messages': `hostile 8 MiB of the slowest shape as a message of at most ${MESSAGE_ITEMS} values, in all`,
  'decoders.ledger': 'the same to the ledger’s decoder'
}

/** Hostile bytes to every decoder. Throws if the time of one is not linear in the bytes. */
export async function run({ quick }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const took = (decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): number => {
    const samples = Array.from({ length: rounds }, () => {
      const begin = performance.now()
      try {
        decode(bytes)
      } catch {
        // refused, which took its time as well
      }
      return performance.now() - begin
    })
    return Math.min(...samples)
  }
  const rows: Row[] = []
  for (const [name, decode] of Object.entries(decoders)) {
    let slowest = 0
    let growth = 0
    for (const [shape, make] of Object.entries(hostileShapes)) {
      const small = took(decode, make(SMALL_MIB * MIB_BYTES))
      const large = took(decode, make(LARGE_MIB * MIB_BYTES))
      const grown = large / LARGE_MIB / (small / SMALL_MIB)
      slowest = Math.max(slowest, large)
      if (large < NOISE_MS) continue
      growth = Math.max(growth, grown)
      if (grown > MOST_GROWTH)
        throw new Error(
          `${shape} to ${name}: ${small.toFixed(1)} ms for ${SMALL_MIB} MiB, ${large.toFixed(0)} for ${LARGE_MIB}`
        )
    }
    rows.push(
      summary(`decoders.${name}`, name === 'values' ? 'ms/MiB' : 'ms', [
        name === 'values' ? slowest / 4 : slowest
      ])
    )
    if (name === 'values') rows.push(summary('decoders.values-growth', '×', [growth]))
  }
  return rows
}
