import { strict as assert } from 'node:assert'
import type { Failure } from '../../sandbox/index.ts'
import { UNPAID_LIMIT_MS } from '../../scheduler/market/unpaid-time.ts'
import type { FromRequester, FromWorker } from '../../scheduler/protocol/compute-messages.ts'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'
import type { WorkerPolicy } from '../../scheduler/worker/lending-policy.ts'
import { UNLIMITED } from '../../scheduler/worker/unsecured-work.ts'
import { type ComputeWorker, createWorker } from '../../scheduler/worker/worker.ts'
import { until } from '../bootstrap/nodes.ts'
import { createFake } from './fake-sandbox.ts'
import { amongFriends, openPolicy } from './open-worker.ts'
import { connected, lease, load, settle } from './requester-end.ts'

describe('scheduler/worker', () => {
  let worker: ComputeWorker
  let fake: ReturnType<typeof createFake>
  let clock = 0
  let worked: [string, { slices: number; ms: number; earned: bigint }][]
  const start = (policy: Partial<WorkerPolicy> = {}, costs = UNCOUNTED, credit = UNLIMITED): void => {
    fake = createFake()
    worked = []
    worker = createWorker(
      { policy: openPolicy(2, { memoryMb: 128, ...policy }), trustsOwn: true, runtimes: [] },
      {
        ...amongFriends(),
        sandbox: fake.sandbox,
        costs,
        credit,
        now: () => clock,
        worked: (requester, work) => worked.push([requester, work])
      }
    )
  }
  const connect = (id?: string) => connected(worker, id)
  afterEach(() => worker.stop())

  describe('a slot that nobody pays for', () => {
    const free = (ids: number[]): FromRequester => {
      const message = lease(ids) as Extract<FromRequester, { t: 'lease' }>
      return { t: 'lease', slices: message.slices.map(slice => ({ ...slice, price: 0 })) }
    }
    const heartbeat = 'the next look at what runs'

    it('is taken back when what a stranger may use unpaid is used up, while the slice runs', async () => {
      start()
      const peer = connect('mallory')
      peer.receive({ ...(load() as Extract<FromRequester, { t: 'load' }>), timeoutMs: 1e9 })
      peer.receive(free([1, 2]))
      await until(() => fake.running.length === 2, 'both slices')
      clock += UNPAID_LIMIT_MS / 2 - 1000
      await until(() => peer.of('alive').length > 1, heartbeat)
      assert.deepEqual(peer.refused(), [])
      clock += 2000
      await until(() => peer.refused().length === 2, heartbeat)
      assert.match(peer.of('refused')[0]!.reason, /used 100 s of this node without paying/)
      await until(() => fake.running.length === 0, 'the end of both')
      peer.receive(free([3]))
      assert.deepEqual(peer.refused(), [1, 2, 3])
      const honest = connect('alice')
      honest.receive(load())
      honest.receive(free([4]))
      await until(() => fake.running.length === 1, 'the slice of another')
    })

    it('stays with whoever pays, and with the owner', async () => {
      start()
      const payer = connect()
      payer.receive(load())
      const [slice] = (lease([1]) as Extract<FromRequester, { t: 'lease' }>).slices
      payer.receive({ t: 'lease', slices: [{ ...slice!, price: 10_000_000 }] })
      const said: FromWorker[] = []
      const owner = worker.connect('owner', message => said.push(message), true)
      owner.receive(load())
      owner.receive(free([2]))
      await until(() => fake.running.length === 2, 'both slices')
      clock += 10 * UNPAID_LIMIT_MS
      await until(() => said.filter(({ t }) => t === 'alive').length > 1, heartbeat)
      assert.equal(fake.running.length, 2)
      assert.deepEqual(payer.refused(), [])
    })

    it('is given to whose escrow is certified, at once, and to strangers when nobody else wants it', async () => {
      let wasted = 0
      const certified = new Set(['alice'])
      start(
        { slots: 1 },
        {
          ...UNCOUNTED,
          waste(peer, ms) {
            if (peer === 'mallory') wasted += ms
          }
        },
        { ...UNLIMITED, secures: requester => certified.has(requester) }
      )
      const stranger = connect('mallory')
      stranger.receive(load())
      stranger.receive(lease([1, 2]))
      await until(() => fake.running.length === 1, 'the slice of the stranger')
      const payer = connect('alice')
      payer.receive(load())
      payer.receive(lease([3, 4]))
      await until(() => fake.opened.at(-1) === 'alice', 'the slice that is paid for')
      assert.deepEqual(stranger.refused(), [1])
      assert.match(stranger.of('refused')[0]!.reason, /whose escrow is certified/)
      assert.equal(wasted, 0, 'its escrow may be on its way')
      // the owner goes before both, and ends nobody who pays
      const owner = worker.connect('owner', () => {}, true)
      owner.receive(load())
      owner.receive(lease([5]))
      clock += 1_000
      for (const next of [5, 4, 2]) {
        fake.running[0]!.end()
        await until(() => fake.running[0]?.inputs[0]?.[0] === next, `slice ${next}`)
      }
      // and what begins on a word is secured as soon as the certificate comes
      certified.add('mallory')
      payer.receive(lease([6]))
      await until(() => payer.of('alive').length > 1, heartbeat)
      assert.deepEqual([stranger.refused(), fake.running.length], [[1], 1])
    })

    it('is not made by ending a small batch beside full slots: it gives way to nobody, until it turns out longer', async () => {
      start({ slots: 1 }, UNCOUNTED, { ...UNLIMITED, secures: requester => requester === 'alice' })
      const bulk = connect('alice')
      bulk.receive(load())
      bulk.receive(lease([1, 2]))
      const person = connect('bob')
      person.receive(load())
      person.receive(lease([3], 'p', 5))
      bulk.receive(lease([4]))
      await until(() => fake.running.length === 2, 'the small batch beside the slot')
      await until(() => bulk.of('alive').length > 1, heartbeat)
      assert.deepEqual(person.refused(), [])
      clock += 1001
      await until(() => person.refused().length === 1, heartbeat)
      assert.match(person.of('refused')[0]!.reason, /was begun beside full slots/)
      assert.deepEqual(bulk.refused(), [])
    })

    it('is not begun again for longer and longer where it gave way, and counted as wasted for who takes no heed', async () => {
      const wasted: number[] = []
      const costs = { ...UNCOUNTED, waste: (_: string, ms: number) => void wasted.push(ms) }
      const certified = new Set(['alice'])
      start({ slots: 1 }, costs, { ...UNLIMITED, secures: requester => certified.has(requester) })
      const [stranger, payer] = [connect('mallory'), connect('alice')]
      for (const peer of [stranger, payer]) peer.receive(load())
      const begin = async (id: number): Promise<void> => {
        stranger.receive(lease([id]))
        await until(() => fake.running[0]?.inputs[0]?.[0] === id, 'the slice of the stranger')
        payer.receive(lease([id + 1]))
        await until(() => fake.running[0]?.inputs[0]?.[0] === id + 1, 'the slice that is paid for')
        fake.running[0]!.end()
        await until(() => fake.running.length === 0, 'its end')
      }
      const isRefused = (id: number): boolean => {
        stranger.receive(lease([id]))
        return stranger.refused().includes(id)
      }
      await begin(10)
      clock += 900
      assert.ok(isRefused(20))
      clock += 101
      await begin(30)
      clock += 2_999
      assert.ok(isRefused(40))
      assert.ok(
        wasted.every(ms => ms < 10),
        'who comes when he may have been told so'
      )
      clock += 2
      await begin(50)
      clock += 1_500
      assert.ok(isRefused(60))
      assert.equal(wasted.filter(ms => ms === 200).length, 1, 'he was told twice before')
      certified.add('mallory')
      assert.ok(!isRefused(70), 'it is secured')
    })

    it('counts as wasted at once where it names no price and gives way, once for all that filled the slots', async () => {
      const wasted: [string, number][] = []
      const costs = { ...UNCOUNTED, waste: (peer: string, ms: number) => void wasted.push([peer, ms]) }
      start({ slots: 6 }, costs, { ...UNLIMITED, secures: requester => requester === 'alice' })
      const [stranger, payer] = [connect('mallory'), connect('alice')]
      for (const peer of [stranger, payer]) peer.receive(load())
      stranger.receive(free([1, 2, 3, 4, 5, 6]))
      await until(() => fake.running.length === 6, 'the slices of the stranger')
      for (const id of [11, 12, 13]) {
        clock += 100
        payer.receive(lease([id]))
        await until(() => stranger.refused().length === id - 10, 'the end of one more')
      }
      assert.deepEqual(wasted, [['mallory', 200]])
    })

    it('is begun again before its time where slots have been free for long', async () => {
      start({ slots: 1 }, UNCOUNTED, { ...UNLIMITED, secures: requester => requester === 'alice' })
      const [stranger, payer] = [connect('mallory'), connect('alice')]
      for (const peer of [stranger, payer]) peer.receive(load())
      for (const [id, pauseMs] of [1_000, 3_000, 9_000].entries()) {
        stranger.receive(lease([id]))
        await until(() => fake.running[0]?.inputs[0]?.[0] === id, 'the slice of the stranger')
        payer.receive(lease([id + 100]))
        await until(() => fake.running[0]?.inputs[0]?.[0] === id + 100, 'the slice that is paid for')
        if (id < 2) clock += pauseMs
        fake.running[0]!.end()
        await until(() => worker.offer().free === 1, 'its end')
      }
      clock += 2_999
      stranger.receive(lease([50]))
      assert.ok(stranger.refused().includes(50))
      clock += 1
      await until(() => {
        stranger.receive(lease([51]))
        return fake.running.length === 1
      }, heartbeat)
    })

    it('is taken back from who has only promised a price, like from who names none', async () => {
      start({}, UNCOUNTED, { ...UNLIMITED, secures: () => false })
      const stranger = connect('mallory')
      stranger.receive(load())
      const [slice] = (lease([1]) as Extract<FromRequester, { t: 'lease' }>).slices
      stranger.receive({ t: 'lease', slices: [{ ...slice!, price: 1e12 }] })
      await until(() => fake.running.length === 1, 'its slice')
      clock += UNPAID_LIMIT_MS + 1
      await until(() => stranger.refused().length === 1, heartbeat)
    })
  })

  it('says first what it offers', () => {
    start()
    const [offer] = connect().of('offer')
    assert.equal(offer?.slots, 2)
    assert.ok(offer.window >= offer.slots)
  })

  it('runs as many slices at a time as it has slots, in the order of the leases, and answers each once', async () => {
    start()
    const peer = connect()
    peer.receive(load())
    peer.receive(lease([1, 2, 3, 4, 5]))
    const order: number[] = []
    for (let i = 0; i < 5; i++) {
      await settle()
      assert.ok(fake.running.length <= 2)
      order.push(fake.running[0]!.inputs[0]![0]!)
      fake.running[0]!.end()
    }
    await settle()
    assert.deepEqual(order, [1, 2, 3, 4, 5])
    assert.deepEqual(
      peer.results().map(result => result.id),
      [1, 2, 3, 4, 5]
    )
    assert.deepEqual(peer.refused(), [])
  })

  it('refuses what exceeds the window, and takes more once something is answered', async () => {
    start()
    const peer = connect()
    const { window } = peer.of('offer')[0]!
    peer.receive(load())
    peer.receive(lease(Array.from({ length: window + 3 }, (_, i) => i)))
    assert.deepEqual(peer.refused(), [window, window + 1, window + 2])
    await settle()
    fake.running[0]!.end()
    await settle()
    peer.receive(lease([1000]))
    assert.equal(peer.refused().length, 3)
  })

  it('refuses with a reason: program not loaded, owner does not admit, nothing lent', () => {
    start({ admit: ({ requester }) => (requester === 'mallory' ? 'you are on the deny-list' : undefined) })
    const alice = connect()
    alice.receive(lease([1], 'unknown'))
    assert.deepEqual(alice.of('refused')[0], {
      t: 'refused',
      program: 'unknown',
      slices: [1],
      reason: 'the program is not loaded'
    })
    const mallory = connect('mallory')
    mallory.receive(load())
    mallory.receive(lease([1, 2]))
    assert.deepEqual(mallory.refused(), [1, 2])
    assert.match(mallory.of('refused')[0]!.reason, /deny-list/)
    worker.stop()
    start({ slots: 0 })
    const nobody = connect()
    nobody.receive(load())
    nobody.receive(lease([7]))
    assert.deepEqual(nobody.refused(), [7])
    assert.equal(fake.running.length, 0)
  })

  it('tells which program made room for another, and refuses what comes for it in one message', () => {
    start()
    const peer = connect()
    const large = (program: string) => ({ ...load(program), context: new Uint8Array(20 * 2 ** 20) })
    peer.receive(large('first'))
    peer.receive(large('second'))
    peer.receive(lease([1, 2], 'first'))
    assert.deepEqual(
      peer.of('refused').map(({ program, slices }) => [program, slices]),
      [
        ['first', []],
        ['first', [1, 2]]
      ]
    )
    assert.deepEqual(
      peer.of('loaded').map(({ program }) => program),
      ['first', 'second']
    )
  })

  it("counts what it did for others, neither its owner's work nor what failed", async () => {
    start({ slots: 1 })
    const alice = connect('alice')
    const owner = worker.connect('owner', () => {}, true)
    for (const peer of [alice, owner]) {
      peer.receive(load())
      peer.receive(lease([1, 2]))
    }
    await settle()
    assert.equal(worker.lent, 1)
    for (const isOk of [true, true, true, false]) {
      const failure = { name: 'threw', message: 'no' } as const
      fake.running[0]!.end(isOk ? undefined : () => ({ ok: false, failure, ms: 1 }))
      await settle()
    }
    assert.equal(worker.lent, 0)
    assert.deepEqual(worked, [['alice', { slices: 1, ms: 1000, earned: 1n }]])
  })

  it('stops what is revoked, and goes on with the rest', async () => {
    start({ slots: 1 })
    const peer = connect()
    peer.receive(load())
    peer.receive(lease([1, 2, 3]))
    await settle()
    const [first] = fake.running
    peer.receive({ t: 'revoke', slices: [1, 2, 99] })
    await settle()
    assert.ok(first!.aborted)
    assert.deepEqual([...fake.running[0]!.inputs[0]!], [3])
    fake.running[0]!.end()
    await settle()
    assert.ok(peer.results().some(({ id, outcomes }) => id === 3 && outcomes[0] instanceof Uint8Array))
    assert.ok(!peer.results().some(({ id, outcomes }) => id !== 3 && outcomes[0] instanceof Uint8Array))
  })

  it('drops everything of a requester that is gone, and nothing of others', async () => {
    start()
    const [alice, bob] = [connect('alice'), connect('bob')]
    for (const peer of [alice, bob]) peer.receive(load())
    alice.receive(lease([1, 2, 3]))
    await settle()
    bob.receive(lease([1]))
    const said = alice.said.length
    alice.close()
    await settle()
    assert.equal(fake.running.length, 1)
    fake.running[0]!.end()
    await settle()
    assert.deepEqual(
      bob.results().map(({ id }) => id),
      [1]
    )
    assert.equal(alice.said.length, said, 'nothing is said to who is gone')
    assert.deepEqual([...new Set(fake.opened)], ['alice', 'bob'])
    assert.ok(fake.closed() > 0)
  })

  for (const [maxProcesses, ended] of [
    [2, 0],
    [1, 1]
  ] as const)
    it(`ends ${ended} processes that wait for more when another fills its slot and ${maxProcesses} may run`, async () => {
      start({ slots: 1, maxProcesses })
      const [person, bulk] = [connect('bob'), connect('alice')]
      for (const peer of [person, bulk]) peer.receive(load())
      person.receive(lease([1]))
      await settle()
      fake.running[0]!.end()
      await settle()
      bulk.receive(lease([2]))
      await until(() => fake.opened.includes('alice'), 'its process')
      assert.equal(fake.closed(), ended)
    })

  it('tells every second that it lives while it holds anything, and not otherwise', async () => {
    start({ slots: 1 })
    const [busy, idle] = [connect('busy'), connect('idle')]
    busy.receive(load())
    busy.receive(lease([1]))
    await until(() => busy.of('alive').length > 0, 'a sign of life')
    assert.equal(idle.of('alive').length, 0)
  })

  it('answers a program that does not compile and a missing wall as failures of the slice', async () => {
    for (const [name, expected] of [
      ['ProgramError', 'threw'],
      ['WallMissingError', 'wall-missing']
    ] as const) {
      start()
      fake.sandbox.open = async () => {
        throw Object.assign(new Error('no'), { name })
      }
      const peer = connect()
      peer.receive(load())
      peer.receive(lease([1]))
      await settle()
      assert.equal((peer.results()[0]!.outcomes[0] as Failure).name, expected)
      worker.stop()
    }
  })

  it('refuses slices that it cannot run for reasons of its own', async () => {
    start()
    fake.sandbox.open = async () => {
      throw new Error('fork failed')
    }
    const peer = connect()
    peer.receive(load())
    peer.receive(lease([1]))
    await settle()
    assert.deepEqual(peer.refused(), [1])
  })

  it('cuts the author’s messages and stacks to what travels', async () => {
    start()
    const peer = connect()
    peer.receive(load())
    peer.receive(lease([1]))
    await settle()
    // as long as sandbox/isolate-main.ts lets them be
    const failure = { name: 'threw', message: 'x'.repeat(4096), stack: 's'.repeat(16_384) } as const
    fake.running[0]!.end(() => ({ ok: false, failure, ms: 1 }))
    await settle()
    const { message, stack } = peer.results()[0]!.outcomes[0] as Failure
    assert.ok(message.length > 100 && message.length <= 2000)
    assert.ok(stack!.length <= 8000)
  })

  it('does not hand out half of a batch as done when it stops in the middle', async () => {
    start()
    const peer = connect()
    peer.receive(load())
    const inputs = [Uint8Array.of(1), Uint8Array.of(2)]
    peer.receive({
      t: 'lease',
      slices: [{ id: 1, program: 'p', inputs, expectedMs: 1000, job: 'job', price: 1 }]
    })
    await settle()
    worker.stop()
    await settle()
    for (const { outcomes } of peer.results())
      for (const outcome of outcomes) assert.equal((outcome as Failure).name, 'aborted')
  })
})
