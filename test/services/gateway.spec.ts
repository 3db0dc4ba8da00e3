import { strict as assert } from 'node:assert'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createIdentity, loadOrCreateIdentity } from '../../bootstrap/index.ts'
import { createSigner } from '../../ledger/index.ts'
import { signRelease } from '../../node/signed-release.ts'
import { VERSION } from '../../node/version.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import { MAX_WAIT_MS } from '../../services/compute/schema.ts'
import { SERVICES, slots } from '../../services/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { pack } from './devices/releases.ts'
import { TestGateway, VALUE } from './gateway-node.ts'

const SQUARES = { type: 'range_reduce', start: 1, end: 1000, map: 'x => x * x', operation: 'sum' }
/** n (n + 1) (2n + 1) / 6 for n = 1000 */
const SUM_OF_SQUARES = 333_833_500
const GRAFANA = JSON.parse(
  readFileSync(new URL('../../services/gateway/grafana.json', import.meta.url), 'utf8')
)
const ENDLESS = { type: 'map', items: [1], fn: 'x => { for (;;); }', requirements: { timeoutMs: 60_000 } }
/** A small job may be through before its submission is answered. */
const isTaken = (status: number): boolean => status === 202 || status === 200

describe('gateway: every route of its document', () => {
  let gateway: TestGateway

  before(async () => {
    gateway = await TestGateway.start()
  })
  after(() => gateway?.[Symbol.asyncDispose]())

  it('is alive and ready', async () => {
    assert.equal((await gateway.call('GET /health', { token: null })).body.status, 'ok')
    await until(async () => (await gateway.call('GET /ready', { token: null })).status === 200, 'it is ready')
  })

  it('describes itself', async () => {
    const page = await fetch(`${gateway.url}/docs`)
    assert.equal(page.status, 200)
    assert.match(page.headers.get('content-security-policy')!, /script-src 'self';/)
    const operations = Object.values(gateway.document.paths).flatMap(Object.values) as any[]
    const ids = operations.map(({ operationId }) => operationId)
    assert.equal(new Set(ids).size, ids.length)
    assert.ok(operations.every(({ summary }) => summary?.length > 0))
  })

  it('computes a task while the client waits', async () => {
    const { job, result } = await gateway.run(SQUARES)
    assert.equal(result, SUM_OF_SQUARES)
    assert.equal(job.done, job.total)
    const { body } = await gateway.call('GET /api/v1/tasks/{id}', { params: { id: job.job } })
    assert.equal(body.state, 'completed')
  })

  it('takes a task at once and gives its result later', async () => {
    const { status, body, headers } = await gateway.call('POST /api/v1/tasks', { body: SQUARES })
    assert.ok(isTaken(status))
    const id = body.job.job
    assert.equal(headers.get('location'), `/api/v1/tasks/${id}`)
    const result = await gateway.call('GET /api/v1/tasks/{id}/result', {
      params: { id },
      query: { wait: MAX_WAIT_MS }
    })
    assert.equal(result.body, SUM_OF_SQUARES)
  })

  it('tells progress and end as server-sent events', async () => {
    const { body } = await gateway.call('POST /api/v1/tasks', { body: { ...SQUARES, end: 1e6 } })
    const { bytes, headers } = await gateway.call('GET /api/v1/tasks/{id}/events', {
      params: { id: body.job.job }
    })
    assert.match(headers.get('content-type')!, /^text\/event-stream/)
    const events = Buffer.from(bytes).toString().split('\n\n').filter(Boolean)
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(events.at(-1)!)!
    assert.equal(name, 'end')
    assert.equal(JSON.parse(data!).state, 'completed')
    // whoever comes later is told the end
    const followed = await gateway.call('GET /api/v1/tasks/{id}/follow', { params: { id: body.job.job } })
    assert.equal(followed.body.state, 'completed')
    const late = await gateway.call('GET /api/v1/tasks/{id}/events', { params: { id: body.job.job } })
    assert.match(Buffer.from(late.bytes).toString(), /^event: end\n/)
  })

  it('runs a batch', async () => {
    const specs = [1, 2, 3].map(n => ({ type: 'map', items: [n], fn: 'x => x * 10' }))
    const { body } = await gateway.call('POST /api/v1/tasks/batch', {
      query: { wait: MAX_WAIT_MS },
      body: { specs }
    })
    assert.deepEqual(
      body.result,
      [10, 20, 30].map(n => ({ ok: true, value: [n] }))
    )
    const { body: spec } = await gateway.call('GET /api/v1/tasks/{id}/spec', { params: { id: body.job.job } })
    assert.equal(spec.length, 3)
  })

  it('gives back what a job is to do, its slices and its receipts', async () => {
    const { job } = await gateway.run({ ...SQUARES, name: 'squares' })
    const params = { id: job.job }
    const { body: spec } = await gateway.call('GET /api/v1/tasks/{id}/spec', { params })
    assert.equal(spec.map, SQUARES.map)
    assert.equal(spec.name, 'squares')
    const { body: slices } = await gateway.call('GET /api/v1/tasks/{id}/slices', { params })
    assert.equal(
      slices.items.reduce((sum: number, { count }: { count: number }) => sum + count, 0),
      1000
    )
    // a job that a node did all alone was not paid: there is nothing to prove
    const { body: receipts } = await gateway.call('GET /api/v1/tasks/{id}/receipts', { params })
    assert.deepEqual(receipts.items, [])
  })

  it('cancels', async () => {
    const { body } = await gateway.call('POST /api/v1/tasks', { body: ENDLESS })
    const params = { id: body.job.job }
    const early = await gateway.call('GET /api/v1/tasks/{id}/result', { params })
    assert.equal(early.status, 409)
    assert.equal(early.body.title, 'NotFinishedError')
    const cancelled = await gateway.call('POST /api/v1/tasks/{id}/cancel', { params })
    assert.equal(cancelled.body.state, 'cancelled')
    const { status, body: problem } = await gateway.call('GET /api/v1/tasks/{id}/result', { params })
    assert.equal(status, 409)
    assert.equal(problem.title, 'JobCancelledError')
  })

  it("says why a job failed, with the author's stack", async () => {
    const spec = { type: 'map', items: [1], fn: 'x => { throw new Error("no such town") }', retries: 0 }
    const { status, body } = await gateway.call('POST /api/v1/tasks', {
      query: { wait: MAX_WAIT_MS },
      body: spec
    })
    assert.equal(status, 200)
    assert.equal(body.job.state, 'failed')
    assert.ok(!('result' in body))
    const result = await gateway.call('GET /api/v1/tasks/{id}/result', { params: { id: body.job.job } })
    assert.equal(result.status, 422)
    assert.match(result.body.failure.message, /no such town/)
  })

  it('lists jobs by pages, newest first, each once', async () => {
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const query = { limit: 2, ...(cursor == null ? {} : { cursor }) }
      const { body } = await gateway.call('GET /api/v1/tasks', { query })
      seen.push(...body.items.map(({ job }: { job: string }) => job))
      cursor = body.next
      if (cursor == null) assert.equal(seen.length, body.total)
    } while (cursor != null)
    assert.equal(new Set(seen).size, seen.length)
    const { body } = await gateway.call('GET /api/v1/tasks', { query: { state: 'failed', type: 'map' } })
    assert.ok(body.items.length > 0)
    assert.ok(body.items.every((job: any) => job.state === 'failed' && job.type === 'map'))
    assert.equal((await gateway.call('GET /api/v1/tasks', { query: { cursor: '../..' } })).status, 400)
  })

  it('keeps exact values in canonical form', async () => {
    const items = [
      12345678901234567890n,
      Number.NaN,
      -0,
      new Float64Array([1.5, Number.NaN]),
      new Uint8Array([0, 255])
    ]
    const body = encodeValue({ type: 'map', items, fn: 'x => x' })
    const headers = { 'content-type': VALUE, accept: VALUE }
    const answer = await gateway.call('POST /api/v1/tasks', { query: { wait: MAX_WAIT_MS }, body, headers })
    const { job, result } = decodeValue(answer.bytes) as { job: { job: string }; result: unknown[] }
    assert.deepEqual(result, items)
    assert.ok(Object.is(result[2], -0))
    const params = { id: job.job }
    const exact = await gateway.call('GET /api/v1/tasks/{id}/result', { params, headers: { accept: VALUE } })
    assert.deepEqual(decodeValue(exact.bytes), items)
    const readable = await gateway.call('GET /api/v1/tasks/{id}/result', { params })
    assert.deepEqual(readable.body, ['12345678901234567890', null, 0, [1.5, null], 'AP8='])
  })

  it('starts one job for one idempotency key, also after a restart', async () => {
    const headers = { 'idempotency-key': 'harvest 7' }
    const submit = (body: unknown) => gateway.call('POST /api/v1/tasks', { body, headers })
    const both = await Promise.all([submit(SQUARES), submit(SQUARES)])
    const [id, same] = both.map(({ body }) => body.job.job)
    assert.equal(same, id)
    const other = await submit({ ...SQUARES, end: 10 })
    assert.equal(other.status, 409)
    assert.equal(other.body.title, 'ConflictError')
    const wrong = { 'idempotency-key': 'wrong at first' }
    assert.equal(
      (await gateway.call('POST /api/v1/tasks', { body: { type: '?' }, headers: wrong })).status,
      400
    )
    const { status } = await gateway.call('POST /api/v1/tasks', { body: SQUARES, headers: wrong })
    assert.ok(isTaken(status))
    const token = gateway.token
    await gateway.node.stop()
    await gateway.open()
    assert.equal(gateway.token, token)
    assert.equal((await submit(SQUARES)).body.job.job, id)
    // waiting longer is no other wish
    const again = await gateway.call('POST /api/v1/tasks', {
      body: SQUARES,
      headers,
      query: { wait: MAX_WAIT_MS }
    })
    assert.equal(again.body.job.job, id)
    assert.equal(again.body.result, SUM_OF_SQUARES)
  })

  it('quotes, forecasts, and shows what there is to compute', async () => {
    const { body } = await gateway.call('POST /api/v1/quote', { body: SQUARES })
    assert.ok(BigInt(body.quote.expected) <= BigInt(body.quote.bound))
    await gateway.call('GET /api/v1/forecast')
    const { body: types } = await gateway.call('GET /api/v1/types')
    const { schema: form } = (gateway.document.paths['/api/v1/tasks'] as any).post.requestBody.content[
      'application/json'
    ]
    assert.deepEqual(
      form.properties.type.enum,
      types.map(({ type }: { type: string }) => type)
    )
    for (const { type, example, schema } of types) {
      assert.equal(schema.properties.type.const, type)
      assert.equal(example.type, type)
    }
  })

  it('gives examples that run', async () => {
    const { body: types } = await gateway.call('GET /api/v1/types')
    const results = new Map<string, any>()
    for (const { type, example } of types) results.set(type, (await gateway.run(example)).result)
    assert.deepEqual(results.get('wasm'), [1, 4, 9])
    const species: number[] = results.get('ml_inference').species.data
    const likeliest = [0, 3, 6].map(at => species.slice(at, at + 3)).map(row => row.indexOf(Math.max(...row)))
    assert.deepEqual(likeliest, [0, 1, 2])
  })

  it('shows the network', async () => {
    const { body } = await gateway.call('GET /api/v1/network')
    assert.equal(body.id, gateway.node.id)
    assert.deepEqual(body.witnesses, [gateway.node.id])
    assert.deepEqual((await gateway.call('GET /api/v1/peers')).body.items, [])
    await until(async () => {
      const { body: offers } = await gateway.call('GET /api/v1/offers')
      return offers.items.map(({ peer }: { peer: string }) => peer).join() === gateway.node.id
    }, 'it offers something to itself')
    const { body: services } = await gateway.call('GET /api/v1/services')
    assert.equal(services.items[0].service, 'artel/compute/1')
  })

  it('moves credits', async () => {
    const to = (await createIdentity()).peerId.toString()
    const before = BigInt((await gateway.call('GET /api/v1/credits/balance')).body.available)
    const memo = 'for the harvest 🌾'
    const { body } = await gateway.call('POST /api/v1/credits/transfer', {
      body: { to, amount: '1000001', memo }
    })
    assert.equal(BigInt(body.available), before - 1_000_001n)
    const { body: history } = await gateway.call('GET /api/v1/credits/history', { query: { limit: 1 } })
    assert.equal(history.items[0].memo, memo)
    const much = await gateway.call('POST /api/v1/credits/transfer', { body: { to, amount: '9'.repeat(12) } })
    assert.equal(much.status, 402)
    for (const [field, value] of [
      ['to', 'nobody'],
      ['amount', '-1'],
      ['amount', '1e3'],
      ['amount', 1000]
    ] as const) {
      const body = { to, amount: '1', [field]: value }
      assert.equal(
        (await gateway.call('POST /api/v1/credits/transfer', { body })).status,
        400,
        `${field} ${value}`
      )
    }
  })

  it('shows reputation, and tells a receipt from none', async () => {
    const { body: best } = await gateway.call('GET /api/v1/reputation', { query: { top: 3 } })
    assert.ok(best.items.length <= 3)
    const params = { account: gateway.node.id }
    assert.equal(
      (await gateway.call('GET /api/v1/reputation/{account}', { params })).body.account,
      gateway.node.id
    )
    const body = { receipt: randomBytes(200).toString('base64') }
    const { body: check } = await gateway.call('POST /api/v1/receipts/verify', { body })
    assert.equal(check.valid, false)
    assert.ok(check.reason.length > 0)
  })

  it('shows and changes settings and what is lent', async () => {
    const find = (body: any, name: string) => body.items.find(({ setting }: any) => setting === name)
    assert.equal(find((await gateway.call('GET /api/v1/config')).body, 'slots').value, 2)
    const { body } = await gateway.call('PATCH /api/v1/config', { body: { minPrice: 0.02 } })
    assert.equal(find(body, 'minPrice').value, 0.02)
    const wrong = await gateway.call('PATCH /api/v1/config', { body: { slots: 1, colour: 'blue' } })
    assert.equal(wrong.status, 400)
    assert.equal(find((await gateway.call('GET /api/v1/config')).body, 'slots').value, 2, 'all or nothing')
    const off = await gateway.call('PATCH /api/v1/contribution', { body: { enabled: false } })
    assert.equal(off.body.enabled, false)
    const on = await gateway.call('PATCH /api/v1/contribution', {
      body: { enabled: true, limits: { minPrice: 0 } }
    })
    assert.equal(on.body.enabled, true)
    assert.deepEqual((await gateway.call('GET /api/v1/contribution')).body.limits, on.body.limits)
  })

  it('puts a signed release in the place of its program, and goes back', async () => {
    const folder = join(gateway.folder, 'node', slots.RELEASES)
    const { path } = await pack(gateway.folder, '9', '')
    const { privateKey } = await loadOrCreateIdentity(join(gateway.folder, 'node', 'key'))
    const unsigned = await gateway.call('POST /api/v1/release', { body: { path } })
    assert.deepEqual([unsigned.status, unsigned.body.title], [409, 'ReleaseError'])
    await signRelease(path, createSigner(privateKey))
    const asked = await gateway.call('POST /api/v1/release', { body: { path } })
    assert.deepEqual([asked.status, asked.body.trial], [202, '9'])
    await slots.writeState(folder, slots.kept(await slots.readState(folder)))
    const { body: now } = await gateway.call('GET /api/v1/release')
    assert.deepEqual(now, { version: '9', former: VERSION })
    const back = await gateway.call('POST /api/v1/release/rollback', { body: {} })
    assert.deepEqual([back.status, back.body.trial], [202, VERSION])
    const other = await gateway.call('POST /api/v1/release/rollback', { body: {} })
    assert.equal(other.status, 409, 'one at a time')
    await rm(folder, { recursive: true })
  })

  it('tells a webhook of the owner how jobs ended, and no other', async () => {
    const told: unknown[] = []
    const receiver = createServer(async (req, res) => {
      told.push(JSON.parse(await text(req)))
      res.end()
    })
    receiver.listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    try {
      const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
      const refused = await gateway.call('POST /api/v1/tasks', { body: { ...SQUARES, notify: { url } } })
      assert.deepEqual([refused.status, refused.body.title], [400, 'RequestError'])
      await gateway.call('PATCH /api/v1/config', {
        body: { 'webhooks.urls': [url], 'webhooks.privateRanges': ['127.0.0.0/8'] }
      })
      const { job } = await gateway.run({ ...SQUARES, notify: { url, events: ['job.completed'] } })
      const batch = await gateway.call('POST /api/v1/tasks/batch', {
        body: { specs: [SQUARES], notify: { url } },
        query: { wait: MAX_WAIT_MS }
      })
      await until(async () => told.length === 2, 'both are told')
      assert.deepEqual(
        (told as { type: string; data: { job: string } }[]).map(({ type, data }) => [type, data.job]).sort(),
        [job.job, batch.body.job.job].map(id => ['job.completed', id]).sort()
      )
      await until(async () => {
        const { body } = await gateway.call('GET /api/v1/webhooks')
        assert.match(body.items[0].secret, /^whsec_/)
        return body.items[0].url === url && body.items[0].waiting === 0 && body.items[0].jobs === 0
      }, 'nothing waits')
    } finally {
      receiver.close()
    }
  })

  it('makes tokens that can do only what they are for, until they are over', async () => {
    const make = async (body: unknown) => (await gateway.call('POST /api/v1/tokens', { body })).body
    const { token, id } = await make({ name: 'a dashboard', scopes: ['read'] })
    assert.equal((await gateway.call('GET /api/v1/tasks', { token })).status, 200)
    assert.equal((await gateway.call('POST /api/v1/tasks', { token, body: SQUARES })).status, 403)
    assert.equal((await gateway.call('GET /api/v1/tokens', { token })).status, 403)
    const { body } = await gateway.call('GET /api/v1/tokens')
    assert.equal(body.items[0].id, id)
    assert.ok(!JSON.stringify(body).includes(token))
    const over = await make({ name: 'yesterday', scopes: ['admin'], expires: Date.now() - 1 })
    assert.equal((await gateway.call('GET /api/v1/tasks', { token: over.token })).status, 401)
    for (const file of ['gateway-token', 'gateway-tokens.json', 'gateway.json'])
      assert.equal((await stat(join(gateway.folder, 'node', file))).mode & 0o777, 0o600, file)
    assert.equal((await gateway.call('DELETE /api/v1/tokens/{id}', { params: { id } })).status, 204)
    assert.equal((await gateway.call('GET /api/v1/tasks', { token })).status, 401)
    assert.equal((await gateway.call('DELETE /api/v1/tokens/{id}', { params: { id } })).status, 404)
  })

  it('streams data in and out, and computes on it', async () => {
    const bytes = randomBytes(3 * 2 ** 20 + 17)
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 100_000)
          controller.enqueue(bytes.subarray(at, at + 100_000))
        controller.close()
      }
    })
    const headers = { 'content-type': 'image/x-of-a-kind' }
    const { body: added } = await gateway.call('POST /api/v1/data', { body, headers })
    assert.equal(added.size, bytes.length)
    const { bytes: back, headers: told } = await gateway.call('GET /api/v1/data/{cid}', {
      params: { cid: added.cid }
    })
    assert.equal(told.get('content-length'), String(bytes.length))
    assert.ok(bytes.equals(back))
    const { result } = await gateway.run({
      type: 'script',
      source: 'export default bytes => bytes.reduce((sum, byte) => sum + byte, 0)',
      input: { cid: added.cid }
    })
    assert.equal(
      result,
      bytes.reduce((sum, byte) => sum + byte, 0)
    )
    assert.equal((await gateway.call('GET /api/v1/data/{cid}', { params: { cid: 'nothing' } })).status, 404)
    assert.equal((await gateway.call('POST /api/v1/data')).body.size, 0)
    const file = join(gateway.folder, 'a file')
    await writeFile(file, bytes)
    const taken = await gateway.call('POST /api/v1/data/from-path', { body: { path: file } })
    assert.deepEqual(taken.body, added, 'the same bytes have the same id')
  })

  it('gives figures for Prometheus', async () => {
    const { bytes, headers } = await gateway.call('GET /metrics')
    assert.match(headers.get('content-type')!, /^text\/plain/)
    const lines = Buffer.from(bytes).toString().trim().split('\n')
    // exposition format: comments, and samples `name{labels} value`
    const isLine = (line: string) => /^(# (HELP|TYPE) |[a-zA-Z_:][\w:]*(\{.*\})? \S+$|$)/.test(line)
    assert.deepEqual(
      lines.filter(line => !isLine(line)),
      []
    )
    const names = new Set(lines.map(line => /^# TYPE (\S+)/.exec(line)?.[1]))
    // every figure of the Grafana dashboard is there, but for those that begin with a first peer
    const drawn = JSON.stringify(GRAFANA).match(/\b(artel|process|nodejs)_[a-z0-9_]+/g)!
    assert.deepEqual(
      drawn.filter(name => !names.has(name.replace(/_(bucket|count|sum)$/, ''))),
      []
    )
  })

  it('keeps results where they were made, gives them out and lets them go', async () => {
    const { job } = await gateway.run({
      type: 'map',
      items: [1, 2, 3],
      fn: 'x => 2 * x',
      keep: true,
      verify: 'none'
    })
    const { body: list } = await gateway.call('GET /api/v1/datasets')
    assert.ok(list.items.some(({ id }: { id: string }) => id === job.job))
    const params = { id: job.job }
    assert.equal((await gateway.call('GET /api/v1/datasets/{id}', { params })).status, 200)
    const { body: counted } = await gateway.call('GET /api/v1/datasets/{id}/count', { params })
    assert.equal(counted.items, 3)
    for (const way of ['items', 'collect'])
      assert.equal((await gateway.call(`GET /api/v1/datasets/{id}/${way}`, { params })).status, 200, way)
    assert.equal((await gateway.call('DELETE /api/v1/datasets/{id}', { params })).status, 200)
  })

  it('does not know what is not there', async () => {
    const params = { id: createHash('sha256').update('none').digest('hex').slice(0, 16) }
    const operations = gateway.operations.filter(
      each => each.startsWith('GET ') && each.includes('/tasks/{id}')
    )
    for (const operation of operations)
      assert.equal((await gateway.call(operation, { params })).status, 404, operation)
  })

  it('had every operation of its document exercised', () => {
    // those about people are in accounts-http.spec.ts, those of services with the services
    const elsewhere = ['account', 'your account', ...SERVICES.map(({ name }) => name as string)]
    const tags = gateway.tags.filter(tag => !elsewhere.includes(tag))
    assert.deepEqual(gateway.unexercised(...tags), [])
  })
})
