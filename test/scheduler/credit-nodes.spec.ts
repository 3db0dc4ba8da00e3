import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNetwork, loadOrCreateIdentity, saveNetwork } from '../../bootstrap/index.ts'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { ownAddress, until } from '../bootstrap/nodes.ts'

describe('scheduler: jobs while no witness is there', () => {
  let folder: string
  const nodes = new Set<ArtelNode>()

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-credit-'))
  })
  afterEach(async () => {
    for (const node of [...nodes].reverse()) await node.stop()
    nodes.clear()
    await rm(folder, { recursive: true })
  })

  async function start(name: string, flags: Record<string, unknown>): Promise<ArtelNode> {
    const config = loadConfig({
      environment: {},
      flags: { data: join(folder, name), network: join(folder, 'network.json'), logLevel: 'silent', ...flags }
    })
    const node = await createNode(config)
    nodes.add(node)
    return node
  }

  it('a worker does so much on their word, goes on when the escrow is certified, and is paid once', async () => {
    await mkdir(join(folder, 'witness'), { mode: 0o700 })
    const identity = await loadOrCreateIdentity(join(folder, 'witness', 'key'))
    await saveNetwork(
      join(folder, 'network.json'),
      await createNetwork({ name: 'test' }, identity.privateKey)
    )
    const listen = [ownAddress().listen]
    const witness = await start('witness', { compute: false, listen })
    const seeds = witness.addresses()
    const worker = await start('worker', { seeds, slots: 1, priceMultiplier: 100, trustedPeers: ['*'] })
    const requester = await start('requester', { seeds, compute: false })
    await requester.ledger.claimGrant()
    await until(
      () => requester.scheduler.workers().some(({ connected }) => connected),
      'a stream to the worker'
    )
    const before = requester.ledger.balance().available
    await until(
      () => worker.ledger.balance(requester.id).available === before,
      'the worker knows of the grant that no witness can tell it later'
    )
    await witness.stop()
    nodes.delete(witness)

    const job = await requester.submit({
      type: 'map',
      items: Array.from({ length: 40 }, (_, i) => i),
      fn: 'x => { let y = x; for (let i = 0; i < 1e7; i++) y = (y * 31 + i) % 1000003; return y }',
      verify: 'none',
      priority: 'critical',
      maxPrice: 90
    })
    const refusal = (): string | undefined => requester.scheduler.workers()[0]?.refusal
    await until(() => /no witness has certified an escrow/.test(refusal() ?? ''), 'a refusal')
    assert.equal(job.report().state, 'running')
    assert.equal(worker.ledger.balance(requester.id).available, before)

    await start('witness', { compute: false, listen })
    await job.result({ signal: AbortSignal.timeout(240_000) })
    const { paid } = await job.settled({ signal: AbortSignal.timeout(240_000) })
    assert.ok(paid > 1_000_000n, `paid ${paid}`)
    await until(() => worker.ledger.history().some(({ job: id }) => id === job.id), 'the payment')
    const payments = worker.ledger.history().filter(({ job: id }) => id === job.id)
    assert.deepEqual(
      payments.map(({ type, amount }) => [type, amount]),
      [['settle', paid]]
    )
    assert.equal(requester.ledger.balance().available, before - paid)
  })
})
