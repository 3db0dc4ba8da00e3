import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { inPieces, valueFrom, wholeOf } from '../../scheduler/data/result-bytes.ts'
import { countByteStrings, encodeInPieces, hasLarge } from '../../scheduler/data/value-bytes.ts'

const large = (seed: number): Uint8Array => new Uint8Array(70_000).fill(seed)

describe('scheduler: bytes of values that are not copied', () => {
  it('of lists one after the other are value and bytes of the one list that they are', () => {
    for (const lists of [[], [[1, 2]], [[1], [], ['two', new Uint8Array(70_000).fill(3)], [[4]]]]) {
      const result = lists.map(list => encodeValue(list))
      const list = lists.flat()
      const bytes = encodeValue(list)
      assert.deepEqual(valueFrom(result), list)
      assert.deepEqual(wholeOf(result), bytes)
      assert.deepEqual(new Uint8Array(Buffer.concat(inPieces(result))), bytes)
    }
    assert.equal(valueFrom([encodeValue(7)]), 7)
  })

  it('in pieces are what they are as a whole, and the large ones those of the value', () => {
    const first = large(1)
    const message = {
      t: 'result',
      slices: [
        { id: 7, ms: 1.5, outcomes: [first, { name: 'threw', message: 'x' }], none: undefined },
        { id: 8, ms: 0, outcomes: [new Uint8Array(3), large(2)], numbers: Float64Array.of(1, 2) }
      ],
      empty: []
    }
    const pieces = encodeInPieces(message)
    assert.deepEqual(Buffer.concat(pieces), Buffer.from(encodeValue(message)))
    assert.ok(pieces.includes(first))
  })

  it('in pieces are those of large numbers, too, but for NaN, which has one form, and what is wrong is told', () => {
    const numbers = Float64Array.from({ length: 20_000 }, (_, i) => i / 3)
    const strange = new Uint8Array(new Uint32Array(40_000).fill(0xffff_ffff).buffer)
    const spec = {
      a: { data: numbers.subarray(1) },
      kinds: [new Float32Array(20_000).fill(0.5), new Int16Array(40_000).fill(-2), new Uint8Array(70_000)],
      none: new Float64Array(strange.buffer, 8, 15_000),
      f: new Float32Array(strange.buffer, 4, 30_000)
    }
    const pieces = encodeInPieces(spec)
    assert.deepEqual(Buffer.concat(pieces), Buffer.from(encodeValue(spec)))
    assert.ok(pieces.some(piece => piece.buffer === numbers.buffer))
    assert.deepEqual(Buffer.concat(encodeInPieces(spec, { lists: false })), Buffer.concat(pieces))
    assert.deepEqual(
      [hasLarge(spec), hasLarge({ kinds: spec.kinds }), hasLarge({ a: { b: spec.a } })],
      [true, false, false]
    )
    assert.throws(() => encodeInPieces({ ...spec, when: new Date(0) }), { name: 'ValueError' })
  })

  it('are counted in a list of byte strings alone, as its decoder would', () => {
    const strings = fc.array(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(large(3))), {
      maxLength: 30
    })
    fc.assert(
      fc.property(strings, list => assert.equal(countByteStrings(encodeValue(list)), list.length)),
      { numRuns: 50 }
    )
    for (const other of ['text', Uint8Array.of(0x80), {}, [1], [Uint8Array.of(1), 'text'], [[]]])
      assert.equal(countByteStrings(encodeValue(other)), undefined)
  })

  it('of any bytes are counted only where they are canonical', () => {
    // near a right one: one byte of it is another, or it ends early
    const bytes = encodeValue([new Uint8Array(0), new Uint8Array(2), new Uint8Array(30), new Uint8Array(300)])
    for (let at = 0; at < 40; at++)
      for (let wrong = 0; wrong < 256; wrong++) {
        const changed = bytes.with(at, wrong)
        const count = countByteStrings(changed)
        if (count != null) assert.equal((decodeValue(changed) as unknown[]).length, count)
      }
    for (let end = 0; end < bytes.length; end++)
      assert.equal(countByteStrings(bytes.subarray(0, end)), undefined)
    assert.equal(countByteStrings(Buffer.concat([bytes, Uint8Array.of(0)])), undefined)
  })

  it('are given as a part of the bytes where they are most of them and that is wanted', () => {
    const bytes = encodeValue([1, large(4), large(4).subarray(0, 10)])
    const shared: unknown[] = []
    const value = decodeValue(bytes, { onShared: () => shared.push(bytes) }) as Uint8Array[]
    assert.deepEqual(value, decodeValue(bytes))
    assert.equal(value[1]!.buffer, bytes.buffer)
    assert.notEqual(value[2]!.buffer, bytes.buffer)
    assert.equal(shared.length, 1)
    assert.notEqual((decodeValue(bytes) as Uint8Array[])[1]!.buffer, bytes.buffer)
    // within the packet in which it came it would keep all of that
    const short = decodeValue(encodeValue([large(4).subarray(0, 65_535)]), {
      onShared: () => shared.push('short')
    })
    assert.equal((short as Uint8Array[])[0]!.byteLength, (short as Uint8Array[])[0]!.buffer.byteLength)
    decodeValue(encodeValue([large(5), large(5)]), { onShared: () => shared.push('of two none is most') })
    assert.equal(shared.length, 1)
  })
})
