import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNetwork, loadOrCreateIdentity, saveNetwork } from '../../bootstrap/index.ts'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import type { Waiting } from '../../scheduler/contract.ts'
import { until } from '../bootstrap/nodes.ts'

describe('scheduler: policy and prices between nodes', () => {
  let folder: string
  const nodes: ArtelNode[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-policy-'))
  })
  afterEach(async () => {
    for (const node of nodes.splice(0).reverse()) await node.stop()
    await rm(folder, { recursive: true })
  })

  async function start(name: string, flags: Record<string, unknown>): Promise<ArtelNode> {
    const config = loadConfig({
      environment: {},
      flags: { data: join(folder, name), network: join(folder, 'network.json'), logLevel: 'silent', ...flags }
    })
    const node = await createNode(config)
    nodes.push(node)
    return node
  }

  it('says at once why a job waits that nobody takes, with what is asked and what is offered', async () => {
    await mkdir(join(folder, 'worker'), { mode: 0o700 })
    const identity = await loadOrCreateIdentity(join(folder, 'worker', 'key'))
    await saveNetwork(
      join(folder, 'network.json'),
      await createNetwork({ name: 'test' }, identity.privateKey)
    )
    const worker = await start('worker', { compute: false })
    const requester = await start('requester', { compute: false, seeds: worker.addresses() })
    await until(() => requester.ledger.balance().available > 0n, 'credits')
    const spec = { type: 'map', items: [1], fn: 'x' }
    const waits = async (requirements: object): Promise<Waiting> => {
      const job = await requester.submit({ ...spec, requirements })
      await until(() => job.report().waiting != null, 'why it waits')
      const { waiting } = job.report()
      await job.cancel()
      assert.equal(job.report().waiting, undefined)
      return waiting!
    }
    assert.match(
      (await waits({})).message,
      /this node lends nothing, and .*; start one elsewhere, or let this one compute/
    )
    await worker.configure({ compute: true, slots: 1, taskTypes: ['sort'], tags: ['a', 'b'], maxRamMb: 2048 })
    await until(() => requester.scheduler.workers().some(({ connected }) => connected), 'the worker')
    const { message, unmet } = await waits({ ramMb: 60_000, tags: ['gpu'] })
    assert.match(message, /asks for memory 60000 MB for a process, offered is at most \d+ MB/)
    assert.deepEqual(unmet.map(({ requirement }) => requirement).sort(), ['memory', 'tags'])
    assert.deepEqual((await waits({})).unmet, [{ requirement: 'type', asked: 'map', offered: 'sort' }])
    await worker.configure({ taskTypes: [] })
    await until(async () => (await waits({ tags: ['gpu'] })).unmet.length === 1, 'no more types')
    assert.deepEqual((await waits({ tags: ['gpu'] })).unmet, [
      { requirement: 'tags', asked: 'gpu', offered: 'a, b' }
    ])
  })

  it('tells the requester what workers ask, and quotes it', async () => {
    // the worker is also the witness that grants credits
    await mkdir(join(folder, 'worker'), { mode: 0o700 })
    const identity = await loadOrCreateIdentity(join(folder, 'worker', 'key'))
    await saveNetwork(
      join(folder, 'network.json'),
      await createNetwork({ name: 'test' }, identity.privateKey)
    )
    const worker = await start('worker', {
      slots: 2,
      minPrice: 1000,
      priceMultiplier: 4,
      trustedPeers: ['*'],
      tags: ['gpu']
    })
    const requester = await start('requester', { compute: false, seeds: worker.addresses() })
    const { scheduler } = requester
    await until(() => scheduler.workers().some(({ connected }) => connected), 'a stream to the worker')
    const [seen] = scheduler.workers()
    assert.equal(seen?.peer, worker.id)
    assert.deepEqual([seen?.multiplier, seen?.minPrice, seen?.refusal], [4, 1_000_000_000n, undefined])

    const spec = { type: 'map', items: [1, 2, 3], fn: 'x + 1', verify: 'none', maxPrice: 0.01 }
    const quote = await scheduler.quote(spec)
    assert.equal(quote.bound, 10_000n)
    assert.ok(quote.expected > 0n && quote.expected <= quote.bound)
    assert.deepEqual(
      [quote.factors.multiplier, quote.factors.scarcity, quote.factors.verification],
      [4, 1, 1]
    )
    // no worker has run it, and this machine may lack a wall that even its owner's code needs
    assert.ok(quote.basis !== 'measured', quote.basis)
    assert.equal(scheduler.forecast().now, 1)

    const job = await requester.submit({ ...spec, deadline: 600_000 })
    await until(() => job.report().waiting != null, 'why it waits')
    const { unmet } = job.report().waiting!
    assert.deepEqual(
      unmet.map(({ requirement, offered }) => [requirement, offered]),
      [['price', 'at least 1000000000']]
    )
    await job.cancel()
    assert.equal(job.report().paid, 0n)
  })
})
