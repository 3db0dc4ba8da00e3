import { strict as assert } from 'node:assert'
import { streamPair } from '@libp2p/utils'
import fc from 'fast-check'
import * as lp from 'it-length-prefixed'
import { Uint8ArrayList } from 'uint8arraylist'
import { type FrameRule, followFrames } from '../../bootstrap/follow-frames.ts'
import { readFrames } from '../../bootstrap/framing.ts'
import { negotiation } from '../../bootstrap/library-rules.ts'
import { followFields } from '../../bootstrap/protobuf-fields.ts'

const bytesOf = (...parts: (Uint8Array | number[])[]): Uint8Array =>
  Buffer.concat(parts.map(part => Uint8Array.from(part)))

/** The same bytes in pieces, cut anywhere. */
const pieces = (bytes: Uint8Array, cuts: number[]): Uint8Array[] => {
  const at = [0, ...cuts.map(cut => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}
const cuts = fc.array(fc.nat(5_000), { maxLength: 8 })

describe('bootstrap: frames as they come', () => {
  it('are the frames of it-length-prefixed, however the bytes are cut', () =>
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 })), cuts, fc.boolean(), (frames, at, asList) => {
        const sizes: number[] = []
        const seen: Uint8Array[] = []
        const rule: FrameRule = {
          maxBytes: 400,
          onLength: bytes => void sizes.push(bytes),
          next(frame) {
            seen.push(frame)
            return rule
          }
        }
        const follow = followFrames(rule)
        const all = pieces(bytesOf(...frames.map(frame => lp.encode.single(frame).subarray())), at)
        if (asList) follow(new Uint8ArrayList(...all))
        else for (const piece of all) follow(piece)
        assert.deepEqual(
          sizes,
          frames.map(frame => frame.length)
        )
        assert.deepEqual(
          seen.map(frame => [...frame]),
          frames.map(frame => [...frame])
        )
      })
    ))

  it('may come many at once, where each is small', async () => {
    const [ours, theirs] = await streamPair()
    let count = 0
    const ended = Promise.withResolvers<void>()
    ours.send(Buffer.concat(Array<Uint8Array>(100).fill(lp.encode.single(new Uint8Array(32)).subarray())))
    readFrames(theirs, { maxBytes: 32, onFrame: () => void count++, onEnd: () => ended.resolve() })
    await ours.close()
    await ended.promise
    assert.equal(count, 100)
  })

  it('may come in very many pieces at once', async () => {
    const [, theirs] = await streamPair()
    const sent = Array.from({ length: 3 }, (_, i) => new Uint8Array(100_000).fill(i + 1))
    const all = Buffer.concat(sent.map(message => lp.encode.single(message).subarray()))
    const list = new Uint8ArrayList()
    for (const byte of all) list.append(Uint8Array.of(byte))
    const received: Uint8Array[] = []
    const whole = Promise.withResolvers<void>()
    readFrames(theirs, {
      maxBytes: 100_000,
      onFrame: frame => received.push(frame) === sent.length && whole.resolve(),
      onEnd: whole.reject
    })
    Object(theirs).onData(list)
    await whole.promise
    assert.ok(Buffer.concat(received).equals(Buffer.concat(sent)))
    theirs.abort(new Error('done'))
  })

  it('of a flood leave others their turn, and all are read before the end of the stream', async () => {
    const [ours, theirs] = await streamPair()
    let count = 0
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const ended = Promise.withResolvers<void>()
    readFrames(theirs, {
      maxBytes: 32,
      onFrame() {
        count++
        for (const end = performance.now() + 1; performance.now() < end; );
      },
      onEnd: () => ended.resolve()
    })
    const many = Buffer.concat(Array<Uint8Array>(100).fill(lp.encode.single(new Uint8Array(32)).subarray()))
    ours.send(many)
    ours.send(many)
    await ours.close()
    await ended.promise
    clearInterval(timer)
    assert.equal(count, 200)
    assert.ok(turns > 5, `${turns} turns in 200 ms of work`)
  })

  const broken: [name: string, bytes: Uint8Array, message: RegExp][] = [
    ['a length without end', bytesOf([0xff, 0xff, 0xff, 0xff]), /without end/],
    ['a length that is longer than need be', bytesOf([0x81, 0x00]), /longer than need be/],
    ['a frame that is too long', bytesOf([0xc9, 0x01]), /201 bytes; 200 are allowed/]
  ]
  for (const [name, bytes, message] of broken)
    it(`end with ${name}, before the next byte`, () => {
      const follow = followFrames({ maxBytes: name.includes('too long') ? 200 : 2 ** 28 })
      follow(lp.encode.single(new Uint8Array(7)).subarray())
      follow(bytes.subarray(0, -1))
      assert.throws(() => follow(bytes.subarray(-1)), { name: 'FramingError', message })
    })

  it('may be none, or of one length', () => {
    assert.throws(() => followFrames({ maxBytes: -1 })(Uint8Array.of(0)), { name: 'FramingError' })
    let count = 0
    const follow = followFrames({ maxBytes: 32, fixedBytes: 32, onLength: () => void count++ })
    for (const piece of pieces(new Uint8Array(100).fill(0xff), [1, 40, 64])) follow(piece)
    assert.equal(count, 4)
  })

  it('name the protocol whose rule holds from then on', () => {
    const line = (text: string) => lp.encode.single(Buffer.from(`${text}\n`)).subarray()
    const agreed: string[] = []
    const open = () =>
      followFrames(
        negotiation(name => {
          if (name !== '/known/1') return null
          agreed.push(name)
          return { maxBytes: 10 }
        })
      )
    const start = bytesOf(line('/multistream/1.0.0'), line('/unknown/1'), line('/known/1'))
    fc.assert(
      fc.property(cuts, at => {
        const follow = open()
        for (const piece of pieces(bytesOf(start, [10], new Uint8Array(10)), at)) follow(piece)
        assert.throws(() => follow(Uint8Array.of(11)), { name: 'FramingError' })
        assert.equal(agreed.pop(), '/known/1')
      })
    )
    assert.throws(() => open()(bytesOf(line('/multistream/1.0.0'), [0xff, 0xff])), { name: 'FramingError' })
  })
})

describe('bootstrap: fields of protobuf as they come', () => {
  const varint = (n: number): number[] => (n > 127 ? [(n & 127) | 128, ...varint(n >>> 7)] : [n])
  type Field = { bytes: number[]; count: number }
  const sized = (content: number[]) => [...varint(content.length), ...content]
  const plain: fc.Arbitrary<Field> = fc.oneof<fc.Arbitrary<Field>[]>(
    fc.nat().map(n => ({ bytes: [3 << 3, ...varint(n)], count: 1 })),
    fc.constant({ bytes: [(4 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8], count: 1 }),
    fc.constant({ bytes: [(5 << 3) | 5, 1, 2, 3, 4], count: 1 }),
    fc
      .uint8Array({ maxLength: 300 })
      .map(content => ({ bytes: [(2 << 3) | 2, ...sized([...content])], count: 1 }))
  )
  const sum = (fields: Field[]) => fields.reduce((all, { count }) => all + count, 0)
  const nested = fc.array(plain, { maxLength: 5 }).map(fields => ({
    bytes: [(1 << 3) | 2, ...sized(fields.flatMap(({ bytes }) => bytes))],
    count: 1 + sum(fields)
  }))

  it('are counted with those of the nested message, however the bytes are cut', () =>
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.oneof(plain, nested), { maxLength: 6 }), { maxLength: 3 }),
        cuts,
        (messages, at) => {
          let count = 0
          const fields = followFields({ nested: 1, onField: () => void count++ })
          for (const message of messages) {
            fields.begin()
            for (const piece of pieces(Uint8Array.from(message.flatMap(({ bytes }) => bytes)), at))
              fields.take(piece)
          }
          assert.equal(count, sum(messages.flat()))
        }
      )
    ))

  it('end with what is no protobuf', () => {
    const fields = followFields({ nested: 1, onField: () => {} })
    assert.throws(() => fields.take(Uint8Array.of(0x0f)), { name: 'FramingError' })
    fields.begin()
    assert.throws(() => fields.take(new Uint8Array(20).fill(0xff)), { name: 'FramingError' })
  })
})
