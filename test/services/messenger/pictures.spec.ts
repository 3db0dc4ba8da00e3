import assert from 'node:assert/strict'
import { pictureType, withoutMetadata } from '../../../services/messenger/device/pictures.ts'
import { chunk, png } from './samples.ts'

const segment = (marker: number, data: Buffer): Buffer => {
  const head = Buffer.from([0xff, marker, 0, 0])
  head.writeUInt16BE(data.length + 2, 2)
  return Buffer.concat([head, data])
}
/** Exif, little endian: how it lies, and where it was taken. */
const exif = (orientation: number): Buffer => {
  const tiff = Buffer.alloc(8 + 2 + 12 + 4)
  tiff.write('II')
  tiff.writeUInt16LE(42, 2)
  tiff.writeUInt32LE(8, 4)
  tiff.writeUInt16LE(1, 8)
  tiff.writeUInt16LE(0x0112, 10)
  tiff.writeUInt16LE(3, 12)
  tiff.writeUInt32LE(1, 14)
  tiff.writeUInt16LE(orientation, 18)
  return Buffer.concat([Buffer.from('Exif\0\0'), tiff, Buffer.from('GPS 55.75 37.61')])
}
/** With a byte 0xff in what is drawn, and where the drawing begins anew. */
const scan = Buffer.concat([
  segment(0xda, Buffer.alloc(10)),
  Buffer.from('the picture \xff\0 itself \xff\xd0 goes on', 'latin1'),
  segment(0xc4, Buffer.from([0xff, 0xd9])),
  segment(0xda, Buffer.alloc(10)),
  Buffer.from('and on'),
  Buffer.from([0xff, 0xd9])
])
/** Baseline, of one colour. */
const frame = (width: number, height: number): Buffer => {
  const data = Buffer.from([8, 0, 0, 0, 0, 1, 1, 0x11, 0])
  data.writeUInt16BE(height, 1)
  data.writeUInt16BE(width, 3)
  return segment(0xc0, data)
}
/** The canvas of an extended WebP, each side less one in 24 bits. */
const webp = (width: number, height: number): Buffer => {
  const bytes = Buffer.alloc(40)
  bytes.write('RIFF')
  bytes.write('WEBPVP8X', 8)
  bytes.writeUInt32LE(10, 16)
  bytes.writeUIntLE(width - 1, 24, 3)
  bytes.writeUIntLE(height - 1, 27, 3)
  return bytes
}
const jpeg = (...segments: Buffer[]): Buffer => Buffer.concat([Buffer.from([0xff, 0xd8]), ...segments, scan])
const jfif = segment(0xe0, Buffer.from('JFIF\0\x01\x01\0\0\x01\0\x01\0\0'))

describe('messenger: pictures', () => {
  it('knows a picture by what it is, whatever it is called, and a bomb by what it promises', () => {
    assert.equal(pictureType(png(8, 8)), 'image/png')
    assert.equal(pictureType(jpeg(jfif)), 'image/jpeg')
    assert.equal(pictureType(Buffer.from(`GIF89a\x08\0\x08\0${'\0'.repeat(40)}`, 'latin1')), 'image/gif')
    assert.equal(pictureType(Buffer.from(`RIFF\0\0\0\0WEBPVP8 ${'\0'.repeat(40)}`, 'latin1')), 'image/webp')
    for (const text of [
      '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
      '<html><body>'.repeat(9),
      ''
    ])
      assert.equal(pictureType(Buffer.from(text)), undefined)
    assert.equal(pictureType(jpeg(jfif, frame(8_000, 6_000))), 'image/jpeg')
    assert.equal(pictureType(webp(8_000, 6_000)), 'image/webp')
    for (const bomb of [png, webp, (...size: [number, number]) => jpeg(jfif, frame(...size))])
      assert.equal(pictureType(bomb(60_000, 60_000)), undefined)
    assert.equal(pictureType(Buffer.from(`GIF89a\xff\xff\xff\xff${'\0'.repeat(40)}`, 'latin1')), undefined)
  })

  it('takes out where and with what a picture was taken, and nothing else', () => {
    const told = [chunk('tEXt', Buffer.from('Author\0Ann')), chunk('eXIf', Buffer.from('II*\0GPS'))]
    for (const side of [8, 60_000])
      assert.deepEqual(Buffer.from(withoutMetadata(png(side, side, ...told))), png(side, side))
    const colours = segment(0xe2, Buffer.from('ICC_PROFILE\0'))
    const given = jpeg(jfif, segment(0xe1, exif(1)), colours, segment(0xfe, Buffer.from('a comment')))
    assert.deepEqual(Buffer.from(withoutMetadata(given)), jpeg(jfif, colours))
    // a telephone puts more pictures behind the first, each with its own
    const more = [segment(0xe2, Buffer.from('MPF\0')), jpeg(jfif, segment(0xe1, exif(1)))]
    const several = Buffer.concat([jpeg(jfif, more[0]!), more[1]!])
    assert.deepEqual(Buffer.from(withoutMetadata(several)), jpeg(jfif))
    // how it lies stays, where it was taken does not
    const turned = Buffer.from(withoutMetadata(jpeg(jfif, segment(0xe1, exif(6)))))
    assert.equal(turned.includes('GPS'), false)
    assert.deepEqual(Buffer.from(withoutMetadata(turned)), turned)
    assert.ok(turned.includes(Buffer.from([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6])))
  })

  it('leaves alone what is no picture, or is damaged', () => {
    for (const bytes of [
      Buffer.from('a text'.repeat(20)),
      png(8, 8, chunk('tEXt', Buffer.from('x'))).subarray(0, 60),
      Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff]), Buffer.alloc(100)])
    ])
      assert.deepEqual(withoutMetadata(bytes), bytes)
  })
})
