import type { Readable } from 'node:stream'

const HEAD_BYTES = 8

/**
 * Cuts the child's output into frames. A body is read into a buffer of its own, so that values are views of it and
 * nothing is copied twice. A body longer than `maxBytes` is a child gone wild: `onWild`.
 */
export function readFrames(
  stream: Readable,
  init: { maxBytes: () => number; onFrame: (type: number, body: Buffer) => void; onWild: () => void }
): void {
  const head = Buffer.alloc(HEAD_BYTES)
  let headFilled = 0
  let body: Buffer | undefined
  let filled = 0
  stream.on('data', (data: Buffer) => {
    for (let at = 0; at < data.length || (body !== undefined && filled === body.length); ) {
      if (body === undefined) {
        const n = Math.min(HEAD_BYTES - headFilled, data.length - at)
        data.copy(head, headFilled, at, at + n)
        at += n
        headFilled += n
        if (headFilled < HEAD_BYTES) return
        const bytes = head.readUInt32LE(4)
        if (bytes > init.maxBytes()) {
          stream.removeAllListeners('data')
          return init.onWild()
        }
        body = Buffer.allocUnsafeSlow(bytes)
        filled = 0
      }
      const n = Math.min(body.length - filled, data.length - at)
      data.copy(body, filled, at, at + n)
      at += n
      filled += n
      if (filled === body.length) {
        const whole = body
        body = undefined
        headFilled = 0
        init.onFrame(head.readUInt32LE(0), whole)
      }
    }
  })
}

/** Head and body parts of a frame, ready for a corked write without joining them. */
export function frame(type: number, ...parts: Uint8Array[]): Uint8Array[] {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32LE(type, 0)
  head.writeUInt32LE(
    parts.reduce((sum, part) => sum + part.byteLength, 0),
    4
  )
  return [head, ...parts]
}
