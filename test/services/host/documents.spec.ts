import { deepEqual, equal, throws } from 'node:assert/strict'
import fc from 'fast-check'
import { z } from 'zod'
import { isSignedBy } from '../../../ledger/index.ts'
import { documentKind, eachOf, judge, knownOf } from '../../../services/host/index.ts'
import { signerFrom } from '../../ledger/helpers.ts'

const ann = signerFrom('ann')
const notes = documentKind({
  name: 'note',
  domain: 'note/1',
  schema: z.object({ version: z.int().min(1), text: z.string() }),
  maxBytes: 100
})

describe('host: signed documents', () => {
  it('count up: what is older is never newer, and of one number there is one', () => {
    const known = fc.record({ version: fc.integer({ min: 1, max: 5 }), hash: fc.constantFrom('a', 'b') })
    fc.assert(
      fc.property(known, known, (one, other) => {
        const verdict = judge(one, other)
        if (verdict === 'newer') equal(judge(other, one), 'older')
        if (verdict === 'same' || verdict === 'fork') {
          equal(judge(other, one), verdict)
          equal(one.version, other.version)
        }
      })
    )
    equal(judge(undefined, { version: 1, hash: '' }), 'newer')
  })

  it('are those of their issuer, to the bit', () => {
    const issued = notes.issue({ version: 2, text: 'ж' }, ann.account, ann.sign)
    deepEqual(notes.verify(issued, isSignedBy), issued)
    deepEqual(knownOf(issued), { version: 2, hash: issued.hash })
    fc.assert(
      fc.property(fc.nat(issued.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const bytes = Uint8Array.from(issued.bytes)
        bytes[at]! ^= bits
        throws(() => notes.verify({ ...issued, bytes }, isSignedBy), { name: 'DocumentError' })
      })
    )
    const other = documentKind({
      name: 'note',
      domain: 'other',
      schema: z.object({ version: z.int() }),
      maxBytes: 9
    })
    throws(() => other.verify(issued, isSignedBy), { name: 'DocumentError', message: /has not signed/ })
    throws(() => notes.issue({ version: 1, text: 'x'.repeat(100) }, ann.account, ann.sign), {
      name: 'DocumentError',
      message: /at most 100/
    })
  })
})

describe('host: work for each', () => {
  it('is done for all, and never for more at once than it may', async () => {
    let [now, most] = [0, 0]
    const done: number[] = []
    await eachOf([1, 2, 3, 4, 5, 6, 7], 3, async each => {
      most = Math.max(most, ++now)
      await Promise.resolve()
      now--
      done.push(each)
    })
    deepEqual([done.toSorted(), most], [[1, 2, 3, 4, 5, 6, 7], 3])
  })
})
