import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { MAX_WAIT_MS } from '../../services/compute/schema.ts'
import { until } from '../bootstrap/nodes.ts'
import { TestGateway } from './gateway-node.ts'

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`json-test-suite/${name}.json`, import.meta.url), 'utf8'))
const SUITE = new Map(
  Object.entries(read('suite') as Record<string, string>).map(([name, text]) => [
    name,
    Buffer.from(text, 'base64')
  ])
)
SUITE.set('n_structure_100000_opening_arrays', Buffer.from('['.repeat(100_000)))
SUITE.set('n_structure_open_array_object', Buffer.from('[{"":'.repeat(50_000)))
const IDLE_CONNECTIONS = 1000

describe('gateway: hostile and clumsy clients', () => {
  let gateway: TestGateway
  const sockets = new Set<Socket>()

  before(async () => {
    gateway = await TestGateway.start()
  })
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
    // whatever came before, the node answers and computes
    const { result } = await gateway.run({ type: 'map', items: [1, 2], fn: 'x => x + 1' })
    assert.deepEqual(result, [2, 3])
  })
  after(() => gateway?.[Symbol.asyncDispose]())

  const open = async (): Promise<Socket> => {
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname)
    sockets.add(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }

  /** Everything that the server says until it closes. */
  const talk = async (text: string): Promise<string> => {
    const socket = await open()
    let said = ''
    socket.setEncoding('utf8').on('data', data => {
      said += data
    })
    socket.write(text)
    await until(() => socket.closed, 'the server has closed the connection')
    return said
  }

  const head = (lines: string[], request = 'GET /health HTTP/1.1') =>
    `${[request, `host: ${new URL(gateway.url).host}`, 'connection: close', ...lines].join('\r\n')}\r\n\r\n`

  it('takes for JSON what is JSON (JSONTestSuite)', async () => {
    for (const [name, body] of SUITE) {
      const answer = await gateway.call('POST /api/v1/tasks', { body })
      assert.equal(answer.status, 400, name)
      const { title } = answer.body
      if (name.startsWith('y_')) assert.equal(title, 'SpecError', name)
      if (name.startsWith('n_')) assert.equal(title, 'RequestError', name)
    }
  })

  it('gives naughty strings back unharmed', async () => {
    const items: string[] = read('naughty-strings')
    const { job, result } = await gateway.run({ type: 'map', items, fn: 'x => x', context: { table: items } })
    assert.deepEqual(result, items)
    const params = { id: job.job }
    assert.deepEqual(
      (await gateway.call('GET /api/v1/tasks/{id}/spec', { params })).body.context.table,
      items
    )
    const keys = Object.fromEntries(items.map((text, i) => [`${text}${i}`, text]))
    const script = { type: 'script', source: 'export default x => x', input: keys }
    assert.deepEqual((await gateway.run(script)).result, keys)
    for (const name of items.filter(text => text.length <= 200).slice(0, 20)) {
      const { body } = await gateway.call('POST /api/v1/quote', {
        body: { type: 'map', items: [1], fn: name, name }
      })
      assert.ok(body.detail == null || typeof body.detail === 'string')
    }
    for (const text of items) {
      // some look like a place in the list
      const answer = await gateway.call('GET /api/v1/tasks', { query: { cursor: text } })
      assert.ok([200, 400].includes(answer.status), text)
      assert.equal(
        (await gateway.call('GET /api/v1/tasks', { query: { type: text.slice(0, 50) } })).status,
        200
      )
    }
  })

  it('keeps keys that mean something to JavaScript', async () => {
    const input = '{"__proto__":{"isAdmin":true},"constructor":{"prototype":1},"toJSON":1,"then":2}'
    const body = `{"type":"script","source":"export default x => x","input":${input}}`
    const answer = await gateway.call('POST /api/v1/tasks', { query: { wait: MAX_WAIT_MS }, body })
    assert.equal(JSON.stringify(answer.body.result), input)
    assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined)
  })

  it('refuses what is not a spec, not a content type, not a query', async () => {
    const statusOf = async (init: Parameters<TestGateway['call']>[1]) =>
      (await gateway.call('POST /api/v1/tasks', init)).status
    assert.equal(
      await statusOf({ body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      415
    )
    assert.equal(
      await statusOf({
        body: new Uint8Array([0xff]),
        headers: { 'content-type': 'application/vnd.artel.value' }
      }),
      400
    )
    assert.equal(await statusOf({ body: {}, query: { wait: 'for ever' } }), 400)
    assert.equal(await statusOf({ body: {}, query: { wait: 1e9 } }), 400)
    assert.equal(await statusOf({ body: {}, headers: { 'idempotency-key': 'x'.repeat(300) } }), 400)
    const deep = `{"type":"map","fn":"x => x","items":${'['.repeat(5000)}${']'.repeat(5000)}}`
    assert.equal(await statusOf({ body: deep }), 400)
    for (const limit of [0, 201, 'many'])
      assert.equal((await gateway.call('GET /api/v1/tasks', { query: { limit } })).status, 400)
    for (const wrong of [{}, { specs: {} }, { specs: [] }, { specs: [1] }, []])
      assert.equal((await gateway.call('POST /api/v1/tasks/batch', { body: wrong })).status, 400)
  })

  it('refuses a body that is too large before it has come', async () => {
    const bytes = 64 * 2 ** 20 + 1
    const lines = [
      `authorization: Bearer ${gateway.token}`,
      'content-type: application/json',
      `content-length: ${bytes}`
    ]
    assert.match(await talk(head(lines, 'POST /api/v1/tasks HTTP/1.1')), /^HTTP\/1\.1 413 /)
    const body = { name: 'x'.repeat(100_000), scopes: ['read'] }
    assert.equal((await gateway.call('POST /api/v1/tokens', { body })).status, 413)
    // without a length it is counted as it comes
    const chunked = [...lines.slice(0, 2), 'transfer-encoding: chunked']
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`
    assert.match(
      await talk(head(chunked, 'POST /api/v1/tokens HTTP/1.1') + chunk + chunk),
      /^HTTP\/1\.1 413 /
    )
  })

  it('refuses headers that are too large, and what is not HTTP', async () => {
    assert.match(await talk(head([`x-much: ${'x'.repeat(20_000)}`])), /^HTTP\/1\.1 431 /)
    assert.match(await talk(`GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`), /^HTTP\/1\.1 431 /)
    assert.match(await talk('\x16\x03\x01 hello\r\n\r\n'), /^HTTP\/1\.1 400 /)
    assert.match(await talk(head([], 'GET /%ff%2e%2e/ HTTP/1.1')), /^HTTP\/1\.1 400 /)
    const twice = [
      'content-length: 5',
      'transfer-encoding: chunked',
      `authorization: Bearer ${gateway.token}`
    ]
    assert.match(await talk(head(twice, 'POST /api/v1/tasks HTTP/1.1')), /^HTTP\/1\.1 400 /)
  })

  it('leaves no file outside the dashboard within reach', async () => {
    for (const path of [
      '/../gateway-token',
      '/..%2fgateway-token',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/assets/..%5c..%5cx'
    ])
      assert.match(await talk(head([], `GET ${path} HTTP/1.1`)), /^HTTP\/1\.1 4\d\d /, path)
  })

  it('serves others while a thousand connections idle and some dribble', async () => {
    await Promise.all(Array.from({ length: IDLE_CONNECTIONS }, open))
    const slow = await Promise.all(Array.from({ length: 20 }, open))
    for (const socket of slow) socket.resume().write('POST /api/v1/tasks HTTP/1.1\r\nhost: local')
    assert.equal((await gateway.call('GET /health', { token: null })).status, 200)
    const { result } = await gateway.run({ type: 'map', items: [2], fn: 'x => x * 2' })
    assert.deepEqual(result, [4])
    // and those who never say what they want are let go
    await until(() => slow.every(socket => socket.closed), 'the slow ones are gone')
  })

  it('survives clients that go in the middle', async () => {
    const spec = JSON.stringify({ type: 'map', items: [1], fn: 'x => x' })
    const lines = [`authorization: Bearer ${gateway.token}`, 'content-type: application/json']
    for (const cut of [1, 20]) {
      const socket = await open()
      const sent = [...lines, `content-length: ${spec.length}`]
      socket.write(head(sent, 'POST /api/v1/tasks?wait=10000 HTTP/1.1') + spec.slice(0, -cut))
      socket.destroy()
    }
    const { body } = await gateway.call('POST /api/v1/tasks', {
      body: { type: 'range_reduce', start: 1, end: 1e7 }
    })
    for (const path of [`/api/v1/tasks/${body.job.job}/events`, '/api/v1/data']) {
      const socket = await open()
      const post = path.endsWith('data') ? 'POST' : 'GET'
      const more = post === 'POST' ? ['content-length: 1000000'] : []
      socket.write(head([...lines, ...more], `${post} ${path} HTTP/1.1`))
      socket.resetAndDestroy()
    }
    const waiting = new AbortController()
    const call = fetch(`${gateway.url}/api/v1/tasks/${body.job.job}/result?wait=60000`, {
      signal: waiting.signal,
      headers: { authorization: `Bearer ${gateway.token}` }
    })
    waiting.abort()
    await assert.rejects(call)
  })
})
