/** An image to make smaller, and what became of it. */
export interface ToShrink {
  bytes: Uint8Array
  side: number
  maxPixels: number
}
export type Shrunk = { bytes: Uint8Array; rss: number } | { error: string }

/** In a process of its own, by its source text (self-contained): one image after the other. */
export function shrinkChild(sharp: typeof import('sharp').default): void {
  sharp.cache(false)
  sharp.concurrency(1)
  process.on('message', ({ bytes, side, maxPixels }: ToShrink) => {
    sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error', sequentialRead: true, pages: 1 })
      // as it is looked at: what the camera says of it goes with everything else that is no picture
      .autoOrient()
      .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 80 })
      .toBuffer()
      .then(
        made => ({ bytes: made, rss: process.memoryUsage.rss() }),
        (error: Error) => ({ error: error.message })
      )
      .then(answer => process.send!(answer))
  })
  process.on('disconnect', () => process.exit())
}
