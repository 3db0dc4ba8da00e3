import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  type Answer,
  afterAnswer,
  type Holder,
  isReplica,
  newHolder,
  nextSteps,
  type Pin,
  type Policy,
  type Step
} from '../../../services/files/replicas.ts'

const POLICY: Policy = { graceMs: 1000, checkMs: 500, pollMs: 50, stallMs: 2000 }
const TICK_MS = 100

/** A network of peers as each one is, and the owner that goes by the steps; time is a number. */
function world(wanted: number, peers: Map<string, Peer>, policy = POLICY) {
  let now = 1_000_000
  const holders = new Map<string, Holder>()
  const leftOut = new Map<string, number>()
  const pin = (): Pin => ({ wanted, holders: [...holders.values()], leftOut })
  const take = (step: Step): void => {
    if (step.do === 'release') {
      holders.delete(step.peer)
      leftOut.set(step.peer, now)
      peers.get(step.peer)!.bytes = 0
      return
    }
    const holder = holders.get(step.peer) ?? newHolder(step.peer, now)
    const after = afterAnswer(holder, answerOf(peers.get(step.peer)!, step), now)
    if ('leftOutMs' in after) {
      holders.delete(step.peer)
      leftOut.set(step.peer, now + after.leftOutMs)
    } else holders.set(step.peer, after)
  }
  return {
    pin,
    sleep(ms: number): void {
      now += ms
    },
    tick(): Step[] {
      now += TICK_MS
      const steps = nextSteps(pin(), [...peers.keys()], now, policy)
      for (const step of steps) take(step)
      return steps
    }
  }
}

interface Peer {
  kind: 'honest' | 'dead' | 'refuses' | 'liar' | 'stuck'
  bytes: number
}

const FILE_BYTES = 3

function answerOf(peer: Peer, step: Step): Answer {
  if (peer.kind === 'dead') return { is: 'silent' }
  if (step.do === 'prove') return { is: peer.kind === 'liar' ? 'lied' : 'proved' }
  if (peer.kind === 'refuses') return { is: 'refused' }
  if (peer.kind === 'liar') return { is: 'held', bytes: FILE_BYTES }
  if (peer.kind === 'stuck') return { is: 'copying', bytes: 1 }
  peer.bytes = Math.min(FILE_BYTES, peer.bytes + 1)
  return { is: peer.bytes === FILE_BYTES ? 'held' : 'copying', bytes: peer.bytes }
}

const kinds = fc.constantFrom<Peer['kind']>('honest', 'dead', 'refuses', 'liar', 'stuck')
const peersOf = (all: Peer['kind'][]): Map<string, Peer> =>
  new Map(all.map((kind, i) => [`peer${i}`, { kind, bytes: 0 }]))

const replicas = (pin: Pin): string[] => pin.holders.filter(isReplica).map(({ peer }) => peer)

// longer than any one may be tried in vain: a grace and a stall for each, and the copying
const ENOUGH_TICKS = 400

describe('files: replicas', () => {
  it('are as many as wanted, or all that are honest, whoever else offers', () => {
    fc.assert(
      fc.property(fc.array(kinds, { maxLength: 8 }), fc.integer({ min: 0, max: 4 }), (all, wanted) => {
        const peers = peersOf(all)
        const { pin, tick } = world(wanted, peers)
        for (let i = 0; i < ENOUGH_TICKS; i++) tick()
        const honest = [...peers.values()].filter(({ kind }) => kind === 'honest').length
        assert.equal(replicas(pin()).length, Math.min(wanted, honest))
      })
    )
  })

  it('are never more than wanted, and no peer is asked beyond that', () => {
    fc.assert(
      fc.property(
        fc.array(kinds, { maxLength: 8 }),
        fc.integer({ min: 0, max: 4 }),
        fc.array(fc.tuple(fc.nat(7), kinds), { maxLength: 60 }),
        (all, wanted, changes) => {
          const peers = peersOf(all)
          const { pin, tick } = world(wanted, peers)
          for (const [which, kind] of changes) {
            const peer = peers.get(`peer${which}`)
            if (peer != null) peer.kind = kind
            tick()
            assert.ok(pin().holders.length <= wanted)
          }
        }
      )
    )
  })

  it('count only after a proof: who says that it has everything and has not is none, and is not asked again', () => {
    const { pin, tick } = world(2, peersOf(['liar', 'honest', 'liar']))
    for (let i = 0; i < ENOUGH_TICKS; i++) {
      tick()
      for (const peer of replicas(pin())) assert.equal(peer, 'peer1')
    }
    const asked = Array.from({ length: 20 }, tick).flat()
    assert.deepEqual(
      asked.filter(({ peer }) => peer !== 'peer1'),
      []
    )
  })

  it('stay with a holder that is silent for less than the grace, and move after it', () => {
    const peers = peersOf(['honest', 'honest'])
    const { pin, tick } = world(1, peers)
    for (let i = 0; i < 10; i++) tick()
    assert.deepEqual(replicas(pin()), ['peer0'])
    peers.get('peer0')!.kind = 'dead'
    const silentSince = pin().holders[0]!.seenAt
    for (;;) {
      const steps = tick()
      const lost = steps.some(step => step.do === 'release')
      const { seenAt } = pin().holders[0]!
      if (!lost) assert.equal(seenAt, silentSince)
      else break
    }
    for (let i = 0; i < 10; i++) tick()
    assert.deepEqual(replicas(pin()), ['peer1'])
  })

  it('stay where they are when nobody could ask: this node slept for a day', () => {
    const { pin, tick, sleep } = world(2, peersOf(['honest', 'honest', 'honest']))
    for (let i = 0; i < 20; i++) tick()
    const before = replicas(pin())
    sleep(24 * 3_600_000)
    const steps = Array.from({ length: 20 }, tick).flat()
    assert.deepEqual(replicas(pin()), before)
    assert.equal(
      steps.some(step => step.do === 'release'),
      false
    )
  })

  it('stay where they are when proofs are rarer than the grace is long', () => {
    const { pin, tick } = world(1, peersOf(['honest', 'honest']), { ...POLICY, graceMs: 400, checkMs: 2000 })
    for (let i = 0; i < 100; i++)
      assert.equal(
        tick().some(step => step.do === 'release'),
        false
      )
    assert.equal(replicas(pin()).length, 1)
  })

  it('that are no longer wanted are released, copies under way first', () => {
    const held = (peer: string): Holder => ({ ...newHolder(peer, 0), state: 'held', provedAt: 0 })
    const copying: Holder = { ...newHolder('c', 0), state: 'copying' }
    const pin: Pin = { wanted: 1, holders: [copying, held('a'), held('b')], leftOut: new Map() }
    assert.deepEqual(nextSteps(pin, [], 0, POLICY), [
      { do: 'release', peer: 'b', why: 'surplus' },
      { do: 'release', peer: 'c', why: 'surplus' }
    ])
  })

  it('prove themselves again and again', () => {
    const { tick } = world(1, peersOf(['honest']))
    for (let i = 0; i < 10; i++) tick()
    const steps = Array.from({ length: 50 }, tick).flat()
    // 5 s with a proof every 500 ms
    assert.equal(steps.filter(step => step.do === 'prove').length, 10)
  })
})
