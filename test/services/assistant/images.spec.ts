import { equal, ok, rejects } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import sharp from 'sharp'
import { createShrink } from '../../../services/assistant/images/create-shrink.ts'
import { kindOf } from '../../../services/assistant/images/kind-of.ts'

const SIDE = 256
const photo = (width: number, height: number) =>
  sharp(randomBytes(width * height * 3), { raw: { width, height, channels: 3 } }).withExif({
    IFD0: { Copyright: 'canary-exif' }
  })

describe('assistant: images', function () {
  this.timeout(120_000)
  let shrink: ReturnType<typeof createShrink>
  beforeEach(() => {
    shrink = createShrink()
  })
  afterEach(() => shrink.close())
  const smaller = async (...images: Uint8Array[]): Promise<Buffer[]> => {
    const data = images.map(image => ({ b64_json: Buffer.from(image).toString('base64') }))
    const answer = await shrink.images({ created: 1, data }, SIDE)
    return (answer.data as typeof data).map(({ b64_json }) => Buffer.from(b64_json, 'base64'))
  }

  it('become WebP of at most so many pixels a side, as they are looked at, without what is no picture', async () => {
    const [png, jpeg, turned] = await Promise.all([
      photo(600, 300).png().toBuffer(),
      photo(300, 600).jpeg().toBuffer(),
      // 6: to be turned by a quarter
      photo(600, 300).withMetadata({ orientation: 6 }).jpeg().toBuffer()
    ])
    const made = await smaller(png!, jpeg!, turned!)
    const sizes = await Promise.all(
      made.map(async image => {
        const { format, width, height } = await sharp(image).metadata()
        ok(!image.includes('canary-exif'))
        return `${format} ${width}×${height}`
      })
    )
    equal(sizes.join(), 'webp 256×128,webp 128×256,webp 128×256')
  })

  it('stay as they are where that is smaller, and where it is only said where they are', async () => {
    const tiny = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
      .webp({ quality: 1 })
      .toBuffer()
    ok((await smaller(tiny))[0]!.equals(tiny))
    const { data } = await shrink.images({ data: [{ url: 'https://images.example/1.png' }] }, SIDE)
    equal(JSON.stringify(data), '[{"url":"https://images.example/1.png"}]')
  })

  it('that are hostile or none are refused, and the next one goes on', async () => {
    const png = await photo(600, 300).png().toBuffer()
    // 100,000 × 100,000 pixels in a file of 1 KB
    const bomb = Buffer.from(png.subarray(0, 1024))
    bomb.writeUInt32BE(100_000, 16)
    bomb.writeUInt32BE(100_000, 20)
    bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29)
    await rejects(smaller(bomb), /pixel limit/)
    await rejects(smaller(png.subarray(0, png.length / 2)), { name: 'StreamError' })
    for (const text of ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'GIF89a', ''])
      await rejects(smaller(Buffer.from(text)), /no PNG, JPEG or WebP/, text)
    const [made] = await smaller(png)
    equal(kindOf(made!), 'webp')
  })
})
