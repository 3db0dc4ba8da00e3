import assert from 'node:assert/strict'
import { pictureType } from '../../../services/messenger/device/pictures.ts'
import { withoutMetadata } from '../../../services/messenger/device/without-metadata.ts'
import { chunk, gifExtension, gifOf, movingWebp, png, riffChunk, webpOf } from './samples.ts'

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

const box = (name: string, ...content: Buffer[]): Buffer => {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(8 + Buffer.concat(content).length)
  head.write(name, 4)
  return Buffer.concat([head, ...content])
}
/** Of one item that is drawn and one that tells something, in `mdat` or inside of the table itself (ISO/IEC 23008-12). */
function heif(brand: string, told: string, isInside = false): Buffer {
  const [drawn, about] = [Buffer.from('the picture itself'), Buffer.from(told)]
  const type = box('ftyp', Buffer.from(`${brand}\0\0\0\0${brand}`))
  const version = Buffer.alloc(4)
  const item = (id: number, kind: string): Buffer =>
    box('infe', Buffer.from([2, 0, 0, 0, 0, id, 0, 0]), Buffer.from(`${kind}\0`))
  const inside = isInside ? [box('idat', about)] : []
  const meta = (at: number): Buffer => {
    const place = (id: number, method: number, offset: number, length: number): Buffer => {
      const bytes = Buffer.from([0, id, 0, method, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
      bytes.writeUInt32BE(offset, 8)
      bytes.writeUInt32BE(length, 12)
      return bytes
    }
    return box(
      'meta',
      version,
      box('iinf', version, Buffer.from([0, 2]), item(1, 'hvc1'), item(2, 'Exif')),
      box(
        'iloc',
        Buffer.from([1, 0, 0, 0, 0x44, 0, 0, told === '' ? 1 : 2]),
        place(1, 0, at, drawn.length),
        ...(told === '' ? [] : [place(2, Number(isInside), isInside ? 0 : at + drawn.length, about.length)])
      ),
      ...inside
    )
  }
  const at = type.length + meta(0).length + 8
  return Buffer.concat([type, meta(at), box('mdat', drawn, ...(isInside ? [] : [about]))])
}

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

  it('takes it out of WebP and GIF, whose pictures, loops and times stay', () => {
    const clean = (bytes: Buffer): Buffer => Buffer.from(withoutMetadata(bytes))
    const told = [riffChunk('EXIF', exif(1).subarray(6)), riffChunk('XMP ', Buffer.from('<x>GPS</x>'))]
    assert.deepEqual(clean(webpOf(0x1c, ...told)), webpOf(0x10))
    assert.deepEqual(clean(movingWebp(0x0c, ...told)), movingWebp(0))
    assert.deepEqual(clean(Buffer.concat([webpOf(0), Buffer.from('GPS 55.75')])), webpOf(0))
    assert.deepEqual(clean(webpOf(0, riffChunk('GPS ', Buffer.from('odd')))), webpOf(0))
    // how it lies stays, whether its Exif begins with that word or not
    for (const about of [exif(6), exif(6).subarray(6)]) {
      const turned = clean(webpOf(0x08, riffChunk('EXIF', about)))
      assert.equal(turned.includes('GPS'), false)
      assert.deepEqual(clean(turned), turned)
      assert.ok(turned.includes(Buffer.from([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6])))
    }

    const control = gifExtension(0xf9, Buffer.from([0, 10, 0, 0]))
    const loop = gifExtension(0xff, Buffer.from('NETSCAPE2.0'), Buffer.from([1, 7, 0]))
    const xmp = gifExtension(0xff, Buffer.from('XMP DataXMP'), Buffer.from('<x>GPS</x>'))
    const comment = gifExtension(0xfe, Buffer.from('GPS 55.75'), Buffer.from('37.61'))
    const plain = gifExtension(1, Buffer.alloc(12), Buffer.from('Ann was here'))
    const more = gifExtension(0xff, Buffer.from('NETSCAPE2.0'), Buffer.from([1, 7, 0]), Buffer.from('GPS'))
    assert.deepEqual(clean(gifOf(comment, xmp, loop, control, comment)), gifOf(loop, control))
    assert.deepEqual(clean(gifOf(more, control, plain)), gifOf(loop))
    assert.deepEqual(clean(Buffer.concat([gifOf(), Buffer.from('GPS')])), gifOf())
  })

  it('overwrites it in HEIC and AVIF, whose pictures stay where they are', () => {
    const clean = (bytes: Buffer): Buffer => Buffer.from(withoutMetadata(bytes))
    for (const brand of ['heic', 'avif'])
      for (const isInside of [false, true]) {
        const given = heif(brand, 'GPS 55.75 37.61', isInside)
        assert.deepEqual(clean(given), heif(brand, '\0'.repeat(15), isInside))
      }
    const uuid = box('uuid', Buffer.from('GPS 55.75 37.61 and more'))
    const place = box('moov', box('trak', box('udta', Buffer.from('GPS'))))
    const free = (bytes: number) => box('free', Buffer.alloc(bytes))
    assert.deepEqual(
      clean(Buffer.concat([heif('mif1', ''), uuid, place])),
      Buffer.concat([heif('mif1', ''), free(24), box('moov', box('trak', free(3)))])
    )
    // a film, and one that is cut
    for (const other of [heif('isom', 'GPS'), heif('heic', 'GPS').subarray(0, -2)])
      assert.deepEqual(clean(other), other)
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
