import { strict as assert } from 'node:assert'
import { findGrantWork } from '../../ledger/records/grant-work.ts'
import { encodeSegment } from '../../ledger/records/segment.ts'
import { createRandom } from '../simulation/random.ts'
import { createFleet, eventually, type Fleet, GRANT } from './fleet.ts'
import { runOf, signerFrom } from './helpers.ts'

/** 500 by command, in pieces that differ by their seed: ARTEL_KILLS=50 ARTEL_SEED=1 npx mocha test/ledger/kills.spec.ts */
const KILLS = Number(process.env.ARTEL_KILLS ?? 6)
const SEED = Number(process.env.ARTEL_SEED ?? 7)
const PRICE = 7

describe(`ledger: kill −9 at ${KILLS} random points, seed ${SEED}`, function () {
  this.timeout(600_000 + KILLS * 20_000)
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await createFleet(1)
  })
  afterEach(() => fleet.stop())

  it('loses nothing that was acknowledged and pays nothing twice', async () => {
    const random = createRandom(SEED)
    const within = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, random() * ms))
    let witness = await fleet.start('w0', [])
    let client = await fleet.start('alice', [witness])
    let worker = await fleet.start('bob', [witness])
    await client.call('claimGrant')
    const acknowledged = { escrows: new Set<string>(), settlements: new Set<string>() }
    let job = 0
    /** asked for, so that it may be done although the answer was lost */
    const settling = new Set<string>()

    const settle = async (name: string, options = {}): Promise<void> => {
      settling.add(name)
      await client.call('settle', name, [{ to: worker.account, amount: String(PRICE), slices: 1 }], options)
      acknowledged.settlements.add(name)
    }
    const unlessItEnded = (error: Error): void => {
      if (!['the process ended', 'LedgerStoppedError'].includes(error.message)) throw error
    }
    /** settlements that wait for each other, as those of jobs that nobody waits for */
    let waiting: Promise<void>[] = []
    /** Jobs one after the other until the client is gone. */
    const work = async (): Promise<void> => {
      try {
        const open = new Set(await client.call<string[]>('open'))
        for (const name of acknowledged.settlements)
          assert.ok(!open.has(name), `the settlement of ${name} is lost`)
        for (const name of acknowledged.escrows)
          assert.ok(
            open.has(name) || acknowledged.settlements.has(name) || settling.has(name),
            `the escrow of ${name} is lost`
          )
        for (const name of open) await settle(name)
        for (;;) {
          const name = `job-${job++}`
          await client.call('escrow', name, '10')
          acknowledged.escrows.add(name)
          const way = random()
          if (way < 0.3) await settle(name)
          else if (way < 0.7) waiting.push(settle(name, { mayWait: true }).catch(unlessItEnded))
        }
      } catch (error) {
        unlessItEnded(error as Error)
      } finally {
        await Promise.all(waiting)
        waiting = []
      }
    }

    let working = work()
    for (let kill = 0; kill < KILLS; kill++) {
      await within(150)
      const victim = random()
      if (victim < 0.3) {
        await witness.kill()
        witness = await fleet.start('w0', [client, worker])
      } else if (victim < 0.4) {
        await worker.kill()
        worker = await fleet.start('bob', [witness, client])
      } else {
        await client.kill()
        await working
        client = await fleet.start('alice', [witness, worker])
        working = work()
      }
    }
    await client.kill()
    await working
    client = await fleet.start('alice', [witness, worker])
    for (const name of await client.call<string[]>('open')) await settle(name)
    // orders are certified in their sequence: with this one all before it are
    await client.call('escrow', 'last', '10')
    acknowledged.escrows.add('last')
    await settle('last')
    await fleet.equalBooks([witness, client, worker])

    // what is certified: every acknowledged order once, nothing twice
    const orders = await client.call<string[]>('history')
    assert.equal(new Set(orders).size, orders.length, 'an order is there twice')
    for (const name of acknowledged.escrows) assert.ok(orders.includes(`escrow ${name}`), `${name} is lost`)
    const paid = orders.filter(order => order.startsWith('settle '))
    for (const name of acknowledged.escrows) assert.ok(paid.includes(`settle ${name}`), `${name} is not paid`)
    assert.deepEqual(
      await worker.call('book'),
      [
        `${client.account} ${GRANT - PRICE * paid.length} 0`,
        ...(paid.length > 0 ? [`${worker.account} ${PRICE * paid.length} 0`] : [])
      ].sort()
    )
    assert.equal(await client.call('total'), String(GRANT))
  })

  it('makes no witness sign a second order', async () => {
    const random = createRandom(SEED)
    const network = { ...fleet.network, grantMicro: BigInt(GRANT) }
    const run = (account: number, timeS: number): Uint8Array =>
      encodeSegment(
        runOf(
          signerFrom(`account ${account}`),
          [{ type: 'grant', timeS, amount: BigInt(GRANT), nonce: nonces[account]! }],
          { network }
        )
      )
    const nonces: number[] = []
    let witness = await fleet.start('w0', [])
    const stranger = await fleet.start('stranger', [witness], { behaviour: 'stranger' })
    const vote = (account: number, timeS: number): Promise<unknown[]> =>
      stranger.call('ask', witness.account, 'vote', [[], run(account, timeS)])

    for (let kill = 0; kill < Math.ceil(KILLS / 10); kill++) {
      const voted: number[] = []
      const askUntilKilled = async (): Promise<void> => {
        try {
          for (;;) {
            const account = nonces.length
            nonces.push(await findGrantWork(network, signerFrom(`account ${account}`).account))
            if ((await vote(account, 1)).length === 1) voted.push(account)
          }
        } catch {
          // the witness is gone
        }
      }
      const asking = askUntilKilled()
      await eventually('a vote', async () => voted.length > random() * 10)
      await witness.kill()
      await asking
      witness = await fleet.start('w0', [stranger])
      for (const account of voted) {
        assert.deepEqual((await vote(account, 1)).length, 1, 'it repeats its vote')
        assert.deepEqual((await vote(account, 2))[0], 'conflict')
      }
    }
  })
})
