import { PNG } from 'pngjs'
import { TvProtocolError } from './errors.ts'

const PREVIEW_WIDTH = 480
const PREVIEW_HEIGHT = 270
const BYTES = 4
const MAX_SIDE = 8192

export interface Picture {
  width: number
  height: number
  /** RGBA */
  data: Uint8Array
}

/**
 * What `screencap` gives: width, height, format and, from Android 9 on, a colour space, each 32 bits; then RGBA.
 *
 * @throws {TvProtocolError}
 */
export function readRaw(bytes: Uint8Array): Picture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [width, height] = bytes.length < 12 ? [0, 0] : [view.getUint32(0, true), view.getUint32(4, true)]
  const size = width * height * BYTES
  const head = bytes.length - size
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE || (head !== 12 && head !== 16))
    throw new TvProtocolError(`${bytes.length} bytes are no picture of ${width} × ${height}`)
  return { width, height, data: bytes.subarray(head) }
}

/** The mean of the pixels that fall into each one. */
export function scaleDown({ width, height, data }: Picture, toWidth: number, toHeight: number): Picture {
  const [w, h] = [Math.min(width, toWidth), Math.min(height, toHeight)]
  const out = new Uint8Array(w * h * BYTES)
  for (let y = 0; y < h; y++) {
    const [top, bottom] = [Math.floor((y * height) / h), Math.floor(((y + 1) * height) / h)]
    for (let x = 0; x < w; x++) {
      const [left, right] = [Math.floor((x * width) / w), Math.floor(((x + 1) * width) / w)]
      let [r, g, b] = [0, 0, 0]
      for (let row = top; row < bottom; row++)
        for (
          let at = (row * width + left) * BYTES, end = (row * width + right) * BYTES;
          at < end;
          at += BYTES
        ) {
          r += data[at]!
          g += data[at + 1]!
          b += data[at + 2]!
        }
      const count = (bottom - top) * (right - left)
      out.set([Math.round(r / count), Math.round(g / count), Math.round(b / count), 255], (y * w + x) * BYTES)
    }
  }
  return { width: w, height: h, data: out }
}

/** A small PNG of what `screencap` gives. */
export function previewOf(raw: Uint8Array): Uint8Array {
  const { width, height, data } = scaleDown(readRaw(raw), PREVIEW_WIDTH, PREVIEW_HEIGHT)
  const png = new PNG({ width, height })
  png.data = Buffer.from(data)
  return PNG.sync.write(png, { deflateLevel: 1, filterType: 1 })
}
