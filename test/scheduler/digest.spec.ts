import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { encodeValue } from '../../sandbox/index.ts'
import { listPart } from '../../scheduler/data/value-bytes.ts'
import { digestOf } from '../../scheduler/trust/answer-digest.ts'

const sha256 = (...parts: Uint8Array[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

/** MTH of RFC 6962, section 2.1, as it is written there: split at the largest power of two below n. */
function treeHash(leaves: Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return sha256(Uint8Array.of(0), leaves[0]!)
  let k = 1
  while (2 * k < leaves.length) k *= 2
  return sha256(Uint8Array.of(1), treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)))
}

// every kind of canonical value, so that none is cut at a wrong place
const value = fc.oneof(
  fc.anything({ maxDepth: 3, withBigInt: true, withTypedArray: true }).filter(isEncodable),
  fc.integer(),
  fc.double()
)

function isEncodable(value: unknown): boolean {
  try {
    encodeValue(value)
    return true
  } catch {
    return false
  }
}

describe('scheduler/digest', () => {
  it('of a list is the Merkle root of RFC 6962 over its items, each as a list of one', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 256 }), items => {
        const leaves = items.map(item => encodeValue([item]))
        assert.deepEqual(Buffer.from(digestOf([encodeValue(items)])), Buffer.from(treeHash(leaves)))
      })
    )
  })

  it('has at most 256 leaves of the same number of items', () => {
    const items = Array.from({ length: 1000 }, (_, i) => i)
    const leaves = Array.from({ length: 250 }, (_, i) => encodeValue(items.slice(4 * i, 4 * i + 4)))
    assert.deepEqual(Buffer.from(digestOf([encodeValue(items)])), Buffer.from(treeHash(leaves)))
  })

  it('of anything that is no list is the hash of its bytes as the only leaf', () => {
    for (const one of [1, 'text', { a: [1, 2] }, null, undefined, [], new Float64Array([1, 2])]) {
      const bytes = encodeValue(one)
      assert.deepEqual(Buffer.from(digestOf([bytes])), sha256(Uint8Array.of(0), bytes))
    }
  })

  it('of the outcomes of a batch has one leaf per outcome, failures included', () => {
    const failure = { name: 'threw' as const, message: 'no' }
    const outcomes = [encodeValue(1), failure, encodeValue([2])]
    const leaves = [encodeValue(1), encodeValue([failure]), encodeValue([2])]
    assert.deepEqual(Buffer.from(digestOf(outcomes)), Buffer.from(treeHash(leaves)))
  })

  it('cuts items out of a list byte for byte', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), fc.nat(), fc.nat(), (items, a, b) => {
        const first = a % items.length
        const count = 1 + (b % (items.length - first))
        assert.deepEqual(
          listPart(encodeValue(items), first, count),
          encodeValue(items.slice(first, first + count))
        )
      })
    )
  })

  it('takes any bytes for an answer: what is no list is one leaf, and has no items', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        assert.equal(digestOf([bytes]).length, 32)
        try {
          listPart(bytes, 0, 1)
        } catch (err) {
          assert.equal((err as Error).name, 'ProtocolError')
        }
      })
    )
    assert.throws(() => listPart(encodeValue([1, 2]), 1, 2), { name: 'ProtocolError' })
  })
})
