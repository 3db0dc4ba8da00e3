import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import { createBook } from '../../ledger/book/book.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../../ledger/book/checkpoint.ts'
import { createReceipts, signEvidence, signWork, verifyReceipt, workProof } from '../../ledger/index.ts'
import { verifyEvidence } from '../../ledger/records/evidence.ts'
import { encodeForkProof, verifyForkProof } from '../../ledger/records/fork.ts'
import { decodeSegment, encodeSegment, isCertified, isSigned } from '../../ledger/records/segment.ts'
import { decodeItems, encodeItems } from '../../ledger/replicate/replica.ts'
import { grantOrder, runOf, signerFrom, testNetwork, transferOrder } from './helpers.ts'

const alice = signerFrom('alice')
const bob = signerFrom('bob')
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
export const run = runOf(
  alice,
  [
    grantOrder,
    transferOrder(bob.account, 7n),
    { type: 'escrow', timeS: 3, job: 'job', amount: 2n ** 60n },
    { type: 'settle', timeS: 4, job: 'job', payments: [{ to: bob.account, amount: 1n, slices: 2 }] }
  ],
  { votes: 3 }
)
export const other = runOf(alice, [grantOrder, transferOrder(bob.account, 8n)])
const work = (name: string, result: string) =>
  signWork(signerFrom(name), testNetwork.id, 'job', [{ slice: 1, digest: digest(result), amount: 3n }])
const proof = (name: string, result: string) => workProof(work(name, result), 0)
const book = createBook(testNetwork)
book.add(run)

/** Every decoder of bytes that a stranger can send, with real bytes. */
export const decoders: Record<string, { real: Uint8Array; decode(bytes: Uint8Array): unknown }> = {
  segment: {
    real: encodeSegment(run),
    decode: bytes => {
      const segment = decodeSegment(bytes, testNetwork)
      // what was taken apart is put together again the same
      assert.deepEqual(Buffer.from(encodeSegment(segment)), Buffer.from(bytes))
      return isSigned(segment) && isCertified(segment, testNetwork)
    }
  },
  'fork proof': { real: encodeForkProof(run, other), decode: bytes => verifyForkProof(bytes, testNetwork) },
  evidence: {
    real: signEvidence(alice, testNetwork.id, 'job', proof('bad', 'x'), [proof('w1', 'y'), proof('w2', 'y')]),
    decode: bytes => verifyEvidence(bytes, testNetwork)
  },
  receipt: {
    real: createReceipts(alice, testNetwork.id, 'job', [work('w1', 'y')]).receipt(
      signerFrom('w1').account,
      1
    ),
    decode: bytes => verifyReceipt(bytes)
  },
  checkpoint: {
    real: encodeCheckpoint(testNetwork.id, book.checkpoint({ epoch: 0, next: 5, lengths: [1, 2, 3, 4] })),
    decode: bytes => decodeCheckpoint(bytes, testNetwork)
  },
  batch: { real: encodeItems([[0, encodeSegment(run)]]), decode: bytes => decodeItems(bytes) }
}
