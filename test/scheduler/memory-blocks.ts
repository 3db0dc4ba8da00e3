import type { CID } from 'multiformats/cid'
import type { Blocks } from '../../scheduler/data/chunked-data.ts'

/** A block store of this process; a get of what it does not have fails at once. */
export function memoryBlocks(): Blocks & { kept: Map<string, Uint8Array> } {
  const kept = new Map<string, Uint8Array>()
  return {
    kept,
    has: cid => kept.has(cid.toString()),
    put(cid, bytes) {
      kept.set(cid.toString(), bytes)
      return cid
    },
    *get(cid: CID) {
      const bytes = kept.get(cid.toString())
      if (bytes == null) throw new Error('no such block')
      yield bytes
    }
  }
}
