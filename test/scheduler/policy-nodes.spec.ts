import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNetwork, loadOrCreateIdentity, saveNetwork } from '../../bootstrap/index.ts'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
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

  it('tells the requester why a worker refuses, and quotes what others ask', async () => {
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

    const job = await requester.submit({ ...spec, deadline: 20_000 })
    const refused = (): string | undefined =>
      scheduler.workers().find(({ peer }) => peer === worker.id)?.refusal
    await until(() => refused() != null, 'a refusal')
    assert.match(refused()!, /asks at least 1000000000 micro-credits per CPU second/)
    await job.cancel()
    assert.equal(job.report().paid, 0n)
  })
})
