import { strict as assert } from 'node:assert'
import { findGrantWork } from '../../ledger/records/grant-work.ts'
import { isSignedBy } from '../../ledger/records/keys.ts'
import { decodeSegment, encodeSegment, lastSeq, tipOf, VOTE_DOMAIN } from '../../ledger/records/segment.ts'
import { createFleet, eventually, type Fleet, GRANT } from './fleet.ts'
import { runOf, signerFrom } from './helpers.ts'
import { createNamespaces, type Namespaces } from './namespaces.ts'
import type { NodeProcess } from './spawn.ts'

describe('ledger: four witnesses, one bad, one cut off', () => {
  let fleet: Fleet
  /** where this user may make none, the far witness cuts its connections itself */
  let namespaces: Namespaces | undefined
  let bad: NodeProcess
  let far: NodeProcess
  let good: NodeProcess[]
  let alice: NodeProcess
  let bob: NodeProcess
  let stranger: NodeProcess
  let paid = 0

  const cut = async (): Promise<void> => namespaces?.pull() ?? (await far.call('cut', true))
  const heal = async (): Promise<void> => namespaces?.plug() ?? (await far.call('cut', false))
  const pay = async (amount: number): Promise<void> => {
    await alice.call('transfer', bob.account, String(amount))
    paid += amount
  }
  /** alice's, bob's and everybody's books after all of it */
  const inAgreement = async (): Promise<void> => {
    await fleet.equalBooks([alice, bob, far, ...good])
    const books = [`${alice.account} ${GRANT - paid} 0`, `${bob.account} ${paid} 0`]
    assert.deepEqual(await bob.call('book'), books.sort())
  }

  before(async () => {
    fleet = await createFleet(4)
    namespaces = createNamespaces()
    const [here, there] = namespaces?.sides ?? [{}, {}]
    bad = await fleet.start('w0', [], { ...here, behaviour: 'bad' })
    far = await fleet.start('w1', [bad], there)
    const all = [bad, far]
    const start = async (name: string, behaviour: 'honest' | 'stranger' = 'honest'): Promise<NodeProcess> => {
      const node = await fleet.start(name, all, { ...here, behaviour })
      all.push(node)
      return node
    }
    good = [await start('w2'), await start('w3')]
    alice = await start('alice')
    bob = await start('bob')
    stranger = await start('stranger', 'stranger')
  })
  after(async () => {
    await fleet.stop()
    namespaces?.remove()
  })

  it('goes on beside the bad one, which is silent, forges and replays', async () => {
    await alice.call('claimGrant')
    for (let i = 0; i < 5; i++) await pay(10)
    await inAgreement()
  })

  it('certifies nothing without a quorum, and everything once the partition heals', async () => {
    await cut()
    await alice.call('escrow', 'job', '50')
    let isCertified = false
    const paying = pay(5).then(() => {
      isCertified = true
    })
    for (const witness of good)
      await eventually('its vote', async () => {
        const answer = await stranger.call<any>('ask', witness.account, 'chain', [alice.account, 0])
        const [, , voted] = answer
        // where it took longer between the two, the escrow was brought to them alone
        return voted != null && lastSeq(decodeSegment(voted, { ...fleet.network, grantMicro: 0n })) >= 6
      })
    assert.equal(isCertified, false)
    await heal()
    await paying
    await alice.call('settle', 'job', [{ to: bob.account, amount: '20', slices: 1 }])
    paid += 20
    await inAgreement()
  })

  it('gives who signs two orders no two certificates, though the bad one signs both', async () => {
    await bad.call('signAll')
    await cut()
    await pay(7) // honest accounts go on, with the vote of the bad one

    const network = { ...fleet.network, grantMicro: BigInt(GRANT) }
    const cheat = signerFrom('cheat')
    const nonce = await findGrantWork(network, cheat.account)
    const grants = [1, 2].map(timeS => ({ type: 'grant', timeS, amount: BigInt(GRANT), nonce }) as const)
    const runs = grants.map(order => runOf(cheat, [order], { network }))
    const votes = runs.map(() => 0)
    const spend = async (witness: NodeProcess, which: number): Promise<void> => {
      const body = [[], encodeSegment(runs[which]!)]
      const [vote] = await stranger.call<any[]>('ask', witness.account, 'vote', body)
      if (vote instanceof Uint8Array && isSignedBy(witness.account, VOTE_DOMAIN, tipOf(runs[which]!), vote))
        votes[which]! += 1
    }
    for (const which of [0, 1]) await spend(bad, which)
    for (const [i, witness] of good.entries()) for (const which of [i, 1 - i]) await spend(witness, which)
    assert.ok(votes.every(count => count >= 1) && votes[0]! + votes[1]! >= 3, `votes ${votes}`)
    await heal()
    await eventually('the far side answers', async () => {
      await stranger.call('connect', far.addresses[0]).catch(() => undefined)
      return spend(far, 1).then(
        () => true,
        () => false
      )
    })
    await spend(far, 0)
    assert.ok(Math.min(...votes) < 3, `both orders have a certificate: ${votes}`)

    for (const node of [alice, bob, far, ...good])
      await eventually('the fork proof', () => node.call<boolean>('isFrozen', cheat.account))
    await pay(3)
    await inAgreement()
  })
})
