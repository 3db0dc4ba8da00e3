import assert from 'node:assert/strict'
import { crc32, deflateSync } from 'node:zlib'
import { pictureType, withoutMetadata } from '../../../services/messenger/device/pictures.ts'

const chunk = (name: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(name), data])
  const head = Buffer.alloc(4)
  head.writeUInt32BE(data.length)
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([head, body, check])
}
/** A grey PNG as its specification has it, and what somebody put between. */
function png(width: number, height: number, ...extra: Buffer[]): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...extra,
    chunk('IDAT', deflateSync(Buffer.alloc(64))),
    chunk('IEND', Buffer.alloc(0))
  ])
}
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
const scan = Buffer.concat([
  segment(0xda, Buffer.alloc(10)),
  Buffer.from('the picture itself'),
  Buffer.from([0xff, 0xd9])
])
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
    assert.equal(pictureType(png(60_000, 60_000)), undefined)
    assert.equal(pictureType(Buffer.from(`GIF89a\xff\xff\xff\xff${'\0'.repeat(40)}`, 'latin1')), undefined)
  })

  it('takes out where and with what a picture was taken, and nothing else', () => {
    const told = [chunk('tEXt', Buffer.from('Author\0Ann')), chunk('eXIf', Buffer.from('II*\0GPS'))]
    assert.deepEqual(Buffer.from(withoutMetadata(png(8, 8, ...told))), png(8, 8))
    const colours = segment(0xe2, Buffer.from('ICC_PROFILE\0'))
    const given = jpeg(jfif, segment(0xe1, exif(1)), colours, segment(0xfe, Buffer.from('a comment')))
    assert.deepEqual(Buffer.from(withoutMetadata(given)), jpeg(jfif, colours))
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
