/** Of an image as it is in memory: a small file can promise any number. */
export const MAX_PIXELS = 40_000_000
const SIDE_BYTES = 4

/** An image to make smaller, as it goes to the child. */
export function toShrink(image: Uint8Array, side: number): Buffer {
  const head = Buffer.alloc(SIDE_BYTES)
  head.writeUInt32LE(side)
  return Buffer.concat([head, image])
}

/** Behind the walls, by its source text (self-contained). */
export const shrinkChild =
  (sharp: typeof import('sharp').default, maxPixels: number, sideBytes: number) =>
  async (input: Buffer): Promise<Uint8Array> => {
    const side = input.readUInt32LE()
    const image = input.subarray(sideBytes)
    return (
      sharp(image, { limitInputPixels: maxPixels, failOn: 'error', sequentialRead: true, pages: 1 })
        // as it is looked at: what the camera says of it goes with everything else that is no picture
        .autoOrient()
        .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
        .webp({ quality: 80 })
        .toBuffer()
    )
  }

/** Source text of what makes `shrinkChild` with sharp as it stands in this file. */
export const shrinkWork = (sharp: string): string => `require => {
  const sharp = process.getBuiltinModule('module').createRequire(${JSON.stringify(sharp)})(${JSON.stringify(sharp)})
  sharp.cache(false)
  sharp.concurrency(1)
  return (${shrinkChild})(sharp, ${MAX_PIXELS}, ${SIDE_BYTES})
}`
