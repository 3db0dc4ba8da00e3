import assert from 'node:assert/strict'
import fc from 'fast-check'
import { costOf, type Lending, RESERVE_BYTES, refusal } from '../../../services/files/quota.ts'

const PLENTY = Number.MAX_SAFE_INTEGER

describe('files: quota', () => {
  it('is never exceeded in all or by a peer, in whatever order peers ask and leave', () => {
    const asks = fc.array(
      fc.record({ peer: fc.constantFrom('a', 'b', 'c', 'd'), bytes: fc.nat(500), leaves: fc.boolean() }),
      { maxLength: 100 }
    )
    fc.assert(
      fc.property(asks, fc.nat(1000), fc.nat(600), (all, total, perPeer) => {
        const lending: Lending = { total, perPeer, lendsTo: peer => peer !== 'd' }
        const lent = new Map<string, number>()
        const sum = (): number => [...lent.values()].reduce((a, b) => a + b, 0)
        for (const { peer, bytes, leaves } of all) {
          if (leaves) lent.delete(peer)
          const toPeer = lent.get(peer) ?? 0
          const why = refusal({ peer, bytes }, lending, { total: sum(), toPeer }, PLENTY)
          if (why == null) lent.set(peer, toPeer + bytes)
          assert.ok(sum() <= total)
          for (const taken of lent.values()) assert.ok(taken <= perPeer)
          assert.equal(lent.has('d'), false)
        }
      })
    )
  })

  it('leaves a reserve on the disk', () => {
    const lending = { total: 10_000, perPeer: 10_000, lendsTo: () => true }
    const lent = { total: 0, toPeer: 0 }
    assert.equal(refusal({ peer: 'b', bytes: 100 }, lending, lent, RESERVE_BYTES + 100), undefined)
    assert.match(refusal({ peer: 'b', bytes: 101 }, lending, lent, RESERVE_BYTES + 100)!, /no room/)
  })

  it('counts whole pages, so that empty blocks are not free', () => {
    assert.deepEqual([0, 1, 4096, 4097, 262_144].map(costOf), [4096, 4096, 4096, 8192, 262_144])
  })
})
