import { strict as assert } from 'node:assert'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNetwork, loadOrCreateIdentity, saveNetwork } from '../../bootstrap/index.ts'
import { verifyReceipt } from '../../ledger/index.ts'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { until } from '../bootstrap/nodes.ts'

describe('scheduler: verification between nodes', () => {
  let folder: string
  const nodes: ArtelNode[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-verified-'))
  })
  after(async () => {
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

  it('compares newcomers, audits whom it knows, and says what it did, also after a restart', async () => {
    await mkdir(join(folder, 'worker'), { mode: 0o700 })
    const identity = await loadOrCreateIdentity(join(folder, 'worker', 'key'))
    const network = await createNetwork({ name: 'test' }, identity.privateKey)
    await saveNetwork(join(folder, 'network.json'), network)
    const worker = await start('worker', { slots: 1, trustedPeers: ['*'] })
    const seeds = worker.addresses()
    const second = await start('second', { slots: 1, trustedPeers: ['*'], seeds })
    let requester = await start('requester', { compute: false, seeds })
    const linked = (): number => requester.scheduler.workers().filter(({ connected }) => connected).length
    await until(() => linked() === 2, 'streams to both workers')
    await until(() => requester.ledger.balance().available > 0n, 'credits')

    const work = 'let s = x; for (let i = 0; i < 2e4; i++) s = (s * 31 + i) % 65521; return s'
    const items = Array.from({ length: 1000 }, (_, i) => i)
    const right = items.map(new Function('x', work) as (x: number) => number)
    const spec = { type: 'map', items, fn: `x => { ${work} }`, verify: { confidence: 0.99 } }
    const run = async () => {
      const job = await requester.scheduler.submit(spec)
      assert.deepEqual(await job.result({ signal: AbortSignal.timeout(240_000) }), right)
      return job.settled({ signal: AbortSignal.timeout(240_000) })
    }

    const first = (await run()).verification!
    assert.ok(first.replicas > 1 && first.compared > 0, JSON.stringify(first))
    assert.ok(first.confidence! >= 0.99, JSON.stringify(first))
    let last = await run()
    for (let i = 0; i < 20 && last.verification!.audited === 0; i++) last = await run()
    assert.ok(last.verification!.audited > 0, JSON.stringify(last.verification))
    assert.ok(last.verification!.confidence! >= 0.99)

    // the signatures under audited answers stand, for whoever checks them
    const receipts = requester.scheduler.receipts(last.job).map(({ receipt }) => verifyReceipt(receipt))
    assert.ok(receipts.length > 0)
    for (const { worker: by, job } of receipts) {
      assert.ok([worker.id, second.id].includes(by))
      assert.equal(job, last.job)
    }

    await nodes.pop()!.stop()
    requester = await start('requester', { compute: false, seeds })
    assert.deepEqual(requester.scheduler.job(last.job)!.report().verification, last.verification)
  })
})
