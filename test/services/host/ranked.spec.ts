import { deepEqual, ok } from 'node:assert/strict'
import { ranked } from '../../../services/host/index.ts'

describe('host: an order of peers', () => {
  it('is the same for all who reckon it, and another one for another thing', () => {
    const peers = Array.from({ length: 20 }, (_, i) => `peer${i}`)
    const order = ranked('court.example:443', peers)
    deepEqual(order.toSorted(), peers.toSorted())
    deepEqual(ranked('court.example:443', peers.toReversed()), order)
    // one who goes moves nobody else
    deepEqual(
      ranked(
        'court.example:443',
        peers.filter(peer => peer !== order[0])
      ),
      order.slice(1)
    )
    const firsts = new Set(Array.from({ length: 50 }, (_, i) => ranked(`host${i}:443`, peers)[0]))
    ok(firsts.size > 10, `${firsts.size} nodes for 50 hosts`)
  })
})
