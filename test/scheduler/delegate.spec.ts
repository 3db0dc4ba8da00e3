import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lpStream } from '@libp2p/utils'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { DELEGATE_PROTOCOL, readAnswer, readRequest } from '../../scheduler/protocol/delegate-messages.ts'
import { address, until } from '../bootstrap/nodes.ts'

const GRANT = 100_000_000n

describe('scheduler: delegation', () => {
  let folder: string
  let client: ArtelNode
  let stranger: ArtelNode
  let delegate: ArtelNode
  const nodes: ArtelNode[] = []
  const start = async (name: string, flags: object, role: 'seed' | 'node' = 'node') => {
    const settings = {
      data: join(folder, name),
      logLevel: 'silent',
      trustedPeers: ['*'],
      mdns: false,
      ...flags
    }
    const node = await createNode(loadConfig({ environment: {}, flags: settings }), { role })
    nodes.push(node)
    return node
  }
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-delegate-'))
    const seed = await start('seed', { compute: false }, 'seed')
    const seeds = [address(seed)]
    client = await start('client', { seeds, compute: false })
    stranger = await start('stranger', { seeds, compute: false })
    delegate = await start('delegate', { seeds, slots: 1, delegateFor: [client.id] })
    await Promise.all([client, stranger].map(node => node.libp2p.dial(delegate.libp2p.getMultiaddrs())))
    await Promise.all([client, stranger, delegate].map(node => node.ledger.claimGrant()))
  })
  after(async () => {
    for (const node of nodes.reverse()) await node.stop()
    await rm(folder, { recursive: true })
  })

  /** What a peer gets that speaks the protocol by hand. */
  async function asked(by: ArtelNode, request: object): Promise<{ t: string; name?: string }> {
    const stream = await by.libp2p.dialProtocol(delegate.libp2p.peerId, DELEGATE_PROTOCOL)
    const lp = lpStream(stream)
    await lp.write(encodeValue(request))
    const answer = decodeValue((await lp.read()).subarray()) as { t: string; name?: string }
    await stream.close()
    return answer
  }

  it('reads no more values than a message can have, before it makes them', () => {
    const job = 'a'.repeat(16)
    assert.deepEqual(readRequest(encodeValue({ t: 'result', job })), { t: 'result', job })
    const many = new Array(1_000_000).fill(null)
    for (const read of [readRequest, readAnswer])
      assert.throws(() => read(encodeValue({ t: 'result', job, many })), { name: 'ValueError' })
  })

  it('lets another node coordinate: the same result, the bound in advance, the rest back', async () => {
    const job = await client.submit(
      { type: 'map', items: [1, 2, 3], fn: 'x => x * x', maxPrice: 2 },
      { delegate: delegate.id }
    )
    assert.deepEqual(await job.result(), [1, 4, 9])
    assert.equal(delegate.scheduler.job(job.id)?.report().state, 'completed')
    const [share] = job.report().shares
    assert.ok(Object.keys(share!.why!).length > 0)
    assert.deepEqual(share!.why, delegate.scheduler.job(job.id)!.report().shares[0]!.why)
    const { paid, bound } = await delegate.scheduler.job(job.id)!.settled()
    assert.equal(bound, 2_000_000n)
    await until(() => client.ledger.balance().available === GRANT - paid, 'the rest is paid back')
    // nothing is made or lost
    assert.equal(client.ledger.history().filter(each => each.type === 'transfer').length, 2)
  })

  it('carries data by CID to the delegate before the job starts', async () => {
    const numbers = Float64Array.from({ length: 200_000 }, (_, i) => i)
    const { cid } = await client.scheduler.addData([new Uint8Array(numbers.buffer)])
    const job = await client.submit(
      { type: 'map_reduce', items: { cid, as: 'float64' }, map: 'x => x', reduce: 'sum' },
      { delegate: delegate.id }
    )
    assert.equal(await job.result(), (200_000 * 199_999) / 2)
  })

  it('computes data by CID on another node, which fetches the blocks itself', async () => {
    const numbers = Float64Array.from({ length: 300_000 }, (_, i) => i)
    const { cid } = await client.scheduler.addData([new Uint8Array(numbers.buffer)])
    const job = await client.submit({
      type: 'map_reduce',
      items: { cid, as: 'float64' },
      map: 'x => x',
      reduce: 'max',
      verify: 'none'
    })
    assert.equal(await job.result(), 299_999)
    const { shares } = await job.settled()
    assert.ok(shares.length > 0 && shares.every(({ worker }) => worker !== client.id))
  })

  it('fetches state and result by the id of the job alone', async () => {
    const { id } = await client.submit(
      { type: 'map', items: [5], fn: 'x => x + 1' },
      { delegate: delegate.id }
    )
    const later = client.scheduler.job(id)!
    assert.deepEqual(await later.result(), [6])
    assert.equal(later.report().state, 'completed')
  })

  it('fails as the job does', async () => {
    const job = await client.submit(
      { type: 'map', items: [1], fn: 'x => x.y.z', retries: 0 },
      { delegate: delegate.id }
    )
    await assert.rejects(job.result(), { name: 'JobFailedError' })
    assert.throws(() => client.scheduler.job('0000000000000000')!.id, TypeError)
  })

  it('refuses whom it does not serve, before anything is paid, with the reason', async () => {
    const before = stranger.ledger.balance()
    await assert.rejects(
      stranger.submit({ type: 'map', items: [1], fn: 'x => x' }, { delegate: delegate.id }),
      { name: 'DelegateError', reason: 'NotServedError' }
    )
    assert.deepEqual(stranger.ledger.balance(), before)
  })

  it('cancels for its submitter; nobody else can fetch, cancel or learn of a job', async () => {
    const job = await client.submit(
      { type: 'map', items: [1], fn: '() => { for (;;) {} }', requirements: { timeoutMs: 600_000 } },
      { delegate: delegate.id }
    )
    for (const t of ['result', 'cancel']) {
      // one answer to a stranger, whether there is such a job or not
      const refused = await asked(stranger, { t, job: job.id })
      assert.deepEqual([refused.t, refused.name], ['error', 'NotServedError'])
      assert.deepEqual(await asked(stranger, { t, job: '0000000000000000' }), refused)
    }
    const unknown = await asked(client, { t: 'result', job: '0000000000000000' })
    assert.equal(unknown.name, 'UnknownDelegatedJobError')
    assert.equal(delegate.scheduler.job(job.id)!.report().finished, undefined)
    await job.cancel()
    await assert.rejects(job.result(), { name: 'JobCancelledError' })
    assert.equal(delegate.scheduler.job(job.id)!.report().state, 'cancelled')
  })

  it('closes the stream of who speaks nonsense', async () => {
    await assert.rejects(asked(client, { t: 'everything' }))
    await assert.rejects(asked(client, { t: 'result', job: '../../etc' }))
  })
})
