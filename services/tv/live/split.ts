import { TvProtocolError } from '../errors.ts'

/** as much as a message between nodes holds, with room to spare */
const MAX_UNIT_BYTES = 2 * 1024 * 1024
const START = Buffer.of(0, 0, 1)
/** with what says of which kind it is */
const HEAD_BYTES = START.length + 2
/** kinds of what a stream consists of (H.264, table 7-1) */
const SLICE = 1
const KEY_SLICE = 5
const SETTINGS = [7, 8]
const BEFORE_SLICES = [6, 7, 8, 9]

/** One picture of a video, or what has to be known of those before it. */
export interface Unit {
  /** nothing before it has to be known */
  isKey: boolean
  bytes: Uint8Array
}

/**
 * Cuts an H.264 stream (annex B) into pictures. Settings that the stream has only at its beginning stand before each key
 * picture, so that one can begin there.
 */
export function createSplitter() {
  let held: Buffer<ArrayBufferLike> = Buffer.alloc(0)
  let unit: Buffer[] = []
  let isKey = false
  let hasSlice = false
  let hasSettings = false
  const settings = new Map<number, Buffer>()

  function finish(): Unit[] {
    if (!hasSlice) return []
    const before = isKey && !hasSettings ? [...settings.values()] : []
    const done = { isKey, bytes: Buffer.concat([...before, ...unit]) }
    unit = []
    isKey = hasSlice = hasSettings = false
    return [done]
  }

  function take(part: Buffer): Unit[] {
    const kind = kindOf(part)
    const done = begins(part) ? finish() : []
    if (SETTINGS.includes(kind)) {
      settings.set(kind, part)
      hasSettings = true
    }
    hasSlice ||= isSlice(kind)
    isKey ||= kind === KEY_SLICE
    unit.push(part)
    return done
  }

  return {
    /** @returns what is complete: the next has begun. @throws {TvProtocolError} no end */
    push(chunk: Uint8Array): Unit[] {
      held = Buffer.concat([held, chunk])
      const done: Unit[] = []
      let from = held.indexOf(START)
      if (from < 0) from = Math.max(0, held.length - START.length + 1)
      for (let next = from; ; from = next) {
        next = held.indexOf(START, from + START.length)
        if (next < 0) break
        done.push(...take(held.subarray(from, next)))
      }
      held = Buffer.from(held.subarray(from))
      if (held.length >= HEAD_BYTES && begins(held)) done.push(...finish())
      if (held.length + unit.reduce((sum, { length }) => sum + length, 0) > MAX_UNIT_BYTES)
        throw new TvProtocolError(`the TV sent a picture of more than ${MAX_UNIT_BYTES} bytes`)
      return done
    },
    /** Nothing more comes for now: what is there is complete. */
    flush(): Unit[] {
      const last = held.length >= HEAD_BYTES ? take(held) : []
      held = Buffer.alloc(0)
      return [...last, ...finish()]
    }
  }
}

const kindOf = (part: Buffer): number => part[START.length]! & 0x1f
const isSlice = (kind: number): boolean => kind === SLICE || kind === KEY_SLICE

/** Whether a picture begins there. The first bit of its first slice is set: that is number 0 (table 9-2). */
function begins(part: Buffer): boolean {
  const kind = kindOf(part)
  return BEFORE_SLICES.includes(kind) || (isSlice(kind) && (part[START.length + 1]! & 0x80) !== 0)
}
