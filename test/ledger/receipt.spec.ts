import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import fc from 'fast-check'
import { createReceipts, signWork, verifyReceipt } from '../../ledger/index.ts'
import { merkleTree, rootOf } from '../../ledger/records/merkle.ts'
import { signerFrom } from './helpers.ts'

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()

/** RFC 6962, section 2.1, word by word. */
function mth(leaves: Uint8Array[]): Buffer {
  if (leaves.length === 1) return sha256(Uint8Array.of(0), leaves[0]!)
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return sha256(Uint8Array.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k)))
}

describe('ledger: receipts', () => {
  it('builds the tree of RFC 6962, and every path leads to its root', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 70 }), leaves => {
        const tree = merkleTree(leaves)
        assert.deepEqual(Buffer.from(tree.root), mth(leaves))
        for (const [index, leaf] of leaves.entries()) {
          const path = tree.path(index)
          assert.deepEqual(rootOf(leaf, index, leaves.length, path), tree.root)
          assert.equal(rootOf(leaf, index, leaves.length, [...path, tree.root]), undefined)
        }
      }),
      { numRuns: 50 }
    )
  })

  const requester = signerFrom('requester')
  const workers = [1, 2, 3].map(i => signerFrom(`worker ${i}`))
  const sliceOf = (slice: number) => ({
    slice,
    digest: sha256(Uint8Array.of(slice)),
    amount: BigInt(slice + 1)
  })
  const works = workers.map((worker, i) =>
    signWork(
      worker,
      'net',
      'job',
      Array.from({ length: 5 + i }, (_, n) => sliceOf(n * 3 + i))
    )
  )
  const receipts = createReceipts(requester, 'net', 'job', works)

  it('proves every slice offline in a few hundred bytes', () => {
    for (const work of works) {
      for (const { slice } of work.slices) {
        const bytes = receipts.receipt(work.worker, slice)
        assert.ok(bytes.length < 600, `${bytes.length} bytes`)
        const { root, ...receipt } = verifyReceipt(bytes)
        assert.deepEqual(root, receipts.root)
        assert.deepEqual(
          { ...receipt, digest: Buffer.from(receipt.digest) },
          { network: 'net', job: 'job', requester: requester.account, worker: work.worker, ...sliceOf(slice) }
        )
      }
    }
  })

  it('does not prove anything else', () => {
    const bytes = receipts.receipt(works[1]!.worker, 4)
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const damaged = Uint8Array.from(bytes)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      assert.throws(() => verifyReceipt(damaged), { name: 'MalformedError' }, `bit ${bit}`)
    }
    const tuple = decode(bytes) as unknown[]
    const higher = structuredClone(tuple) as unknown[][]
    higher[4]![3] = 1_000_000
    assert.throws(() => verifyReceipt(encode(higher)), { name: 'MalformedError' })
    assert.throws(() => verifyReceipt(new Uint8Array(100_000)), { name: 'MalformedError' })
  })

  it('is not made for work that the worker did not sign', () => {
    const other = { ...works[0]!, worker: workers[1]!.account }
    assert.throws(() => createReceipts(requester, 'net', 'job', [other]), { name: 'MalformedError' })
    assert.throws(() => createReceipts(requester, 'net', 'another job', works), { name: 'MalformedError' })
  })
})
