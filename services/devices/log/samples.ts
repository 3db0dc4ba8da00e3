import type { Reading, Sample } from '../contract.ts'
import type { ChainLog } from './chain-log.ts'
import { READING } from './driver-devices.ts'
import { decodeEntry, type Entry } from './entry.ts'

const STEP = 256

/** What a device measured since `from` (ms since 1970), the oldest first; when there is more, the newest `max`. */
export async function samplesOf(
  log: Pick<ChainLog, 'head' | 'first' | 'read' | 'next'>,
  device: string,
  from: number,
  max: number
): Promise<Sample[]> {
  const blocks: Sample[][] = []
  let count = 0
  for (let end = log.head.seq; end >= log.first && count < max; end -= STEP) {
    const start = Math.max(log.first, end - STEP + 1)
    const entries: Entry[] = []
    for (let at = start; at <= end; ) {
      const batch = await log.read(at)
      entries.push(...(batch?.entries ?? []).map(decodeEntry).filter(({ seq }) => seq <= end))
      // damaged ones are not there until others have given them back
      at = batch == null ? (log.next(at) ?? end + 1) : at + batch.entries.length
    }
    const block = entries
      .filter(each => each.device === device && each.kind === READING && each.timeMs >= from)
      .map(({ timeMs, body }) => ({ at: timeMs, values: body as Record<string, Reading> }))
    blocks.unshift(block)
    count += block.length
    if (entries.some(({ timeMs }) => timeMs < from)) break
  }
  return blocks.flat().slice(-max)
}
