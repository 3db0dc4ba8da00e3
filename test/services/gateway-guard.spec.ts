import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { defaultLogger } from '@libp2p/logger'
import { TypedEventEmitter } from 'main-event'
import { verdict } from '../../node/index.ts'
import { MAX_READERS } from '../../services/gateway/entries.ts'
import { MAX_OF_HOME } from '../../services/gateway/events/event-routes.ts'
import { createGateway } from '../../services/gateway/index.ts'
import { type Gateway, type GatewayComponents, type GatewayInit, OWN_GROUPS } from '../../services/index.ts'
import { until } from '../bootstrap/nodes.ts'

const ORIGIN = 'https://tools.example'

describe('gateway: who may ask', () => {
  let folder: string
  let gateway: Gateway

  const start = async (init: Partial<GatewayInit> = {}) => {
    gateway = createGateway({ host: '127.0.0.1', port: 0, dataFolder: folder, origins: [ORIGIN], ...init })(
      components()
    )
    await gateway.start()
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-guard-'))
  })
  afterEach(async () => {
    await gateway.stop()
    await rm(folder, { recursive: true })
  })

  /** fetch would not send a Host or an Origin of our choice */
  const ask = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const sent = request(`${gateway.url}${path}`, { method, headers, agent: false })
    const [answer] = (await once(sent.end(), 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk)
    return { status: answer.statusCode!, headers: answer.headers, text: Buffer.concat(chunks).toString() }
  }
  const known = () => ({ authorization: `Bearer ${gateway.token}` })

  it('answers only under its own names (DNS rebinding)', async () => {
    await start({ serverNames: ['artel.home'] })
    const { port } = new URL(gateway.url!)
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, 'LOCALHOST', 'artel.home'])
      assert.equal((await ask('/health', { host })).status, 200, host)
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '10.0.0.1'
    ])
      for (const path of ['/health', '/', '/docs', '/api/v1/network'])
        assert.equal((await ask(path, { ...known(), host })).status, 403, `${host} ${path}`)
  })

  /** What comes over a bare socket until the other end closes it. */
  const raw = async (text: string): Promise<string> => {
    const { port } = new URL(gateway.url!)
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => undefined /* cut off is an end too */)
    socket.write(text)
    let answer = ''
    socket.on('data', chunk => {
      answer += chunk
    })
    await once(socket, 'close', { signal: AbortSignal.timeout(120_000) })
    return answer
  }

  it('refuses two Host headers', async () => {
    await start()
    const answer = await raw(
      'GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    )
    assert.match(answer, /^HTTP\/1.1 400 /)
  })

  it('waits for no body of who has no token', async () => {
    await start()
    const begun =
      'POST /api/v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{'
    assert.match(await raw(begun), /^HTTP\/1.1 401 /)
  })

  it('answers pages of its own origin and of those that were allowed', async () => {
    await start()
    const own = await ask('/api/v1/forecast', { ...known(), origin: gateway.url! })
    assert.equal(own.status, 200)
    assert.equal(own.headers['access-control-allow-origin'], undefined)
    const allowed = await ask('/api/v1/forecast', { ...known(), origin: ORIGIN })
    assert.equal(allowed.status, 200)
    assert.equal(allowed.headers['access-control-allow-origin'], ORIGIN)
    for (const origin of [
      'null',
      'https://evil.example',
      `${ORIGIN}.evil.example`,
      'http://127.0.0.1:1',
      'file://'
    ])
      assert.equal((await ask('/api/v1/forecast', { ...known(), origin })).status, 403, origin)
    const asked = {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization'
    }
    const preflight = await ask('/api/v1/tasks', { origin: ORIGIN, ...asked }, 'OPTIONS')
    assert.equal(preflight.status, 204)
    assert.match(preflight.headers['access-control-allow-headers']!, /authorization/)
    assert.equal(
      (await ask('/api/v1/tasks', { origin: 'https://evil.example', ...asked }, 'OPTIONS')).status,
      403
    )
  })

  it('wants a token that is right in every letter', async () => {
    await start()
    const token = gateway.token!
    const wrong = [
      '',
      'Bearer',
      `Basic ${Buffer.from(`admin:${token}`).toString('base64')}`,
      token,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`,
      `Bearer ${token.replace('admin', 'other')}`,
      `Bearer ${'x'.repeat(5000)}`
    ]
    for (const authorization of wrong) {
      const { status, headers } = await ask('/api/v1/forecast', { authorization })
      assert.equal(status, 401, authorization)
      assert.equal(headers['www-authenticate'], 'Bearer')
    }
    assert.equal((await ask(`/api/v1/forecast?token=${token}`)).status, 401)
    assert.equal((await ask('/api/v1/forecast', known())).status, 200)
  })

  it('lets nobody guess tokens for long, and still knows those who have one', async () => {
    await start()
    const guess = () => ask('/api/v1/forecast', { authorization: 'Bearer artel_admin_guess' })
    let last = await guess()
    for (let i = 0; i < 200 && last.status === 401; i++) last = await guess()
    assert.equal(last.status, 429)
    assert.ok(Number(last.headers['retry-after']) > 0)
    assert.equal((await ask('/api/v1/forecast', known())).status, 200)
  })

  it('keeps its token to its owner, over restarts', async () => {
    await start()
    const { token } = gateway
    assert.equal((await readFile(join(folder, 'gateway-token'), 'utf8')).trim(), token)
    assert.equal((await stat(join(folder, 'gateway-token'))).mode & 0o777, 0o600)
    await gateway.stop()
    await assert.rejects(stat(join(folder, 'gateway.json')), { code: 'ENOENT' })
    await start()
    assert.equal(gateway.token, token)
  })

  it('serves the dashboard compressed, cached by name, and under a strict policy', async () => {
    const ui = join(folder, 'ui')
    await mkdir(join(ui, 'assets'), { recursive: true })
    const script = 'console.log("hello")'.repeat(100)
    await writeFile(join(ui, 'index.html'), '<!doctype html><title>Artel</title>')
    await writeFile(join(ui, 'assets/main-abc123.js'), script)
    await writeFile(join(ui, 'assets/main-abc123.js.br'), brotliCompressSync(script))
    await start({ ui })
    const page = await ask('/')
    assert.equal(page.status, 200)
    assert.match(page.text, /<title>Artel/)
    assert.match(page.headers['content-security-policy'] as string, /script-src 'self';/)
    assert.match(page.headers['content-security-policy'] as string, /frame-ancestors 'none'/)
    assert.equal(page.headers['cache-control'], 'no-cache')
    assert.equal((await ask('/', { 'accept-encoding': 'gzip, br' })).text, page.text)
    const small = await ask('/assets/main-abc123.js', { 'accept-encoding': 'gzip, br' })
    assert.equal(small.headers['content-encoding'], 'br')
    assert.match(small.headers['content-type']!, /javascript/)
    assert.match(small.headers['cache-control']!, /immutable/)
    assert.equal((await ask('/assets/main-abc123.js')).text, script)
    assert.equal((await ask('/assets/other.js')).status, 404)
  })

  describe('over the WebSocket', () => {
    const follow = (protocols: string[]) => {
      const socket = new WebSocket(`${gateway.url!.replace('http', 'ws')}/api/v1/events`, protocols)
      const events: any[] = []
      const end = { code: undefined as number | undefined }
      socket.addEventListener('message', ({ data }) => events.push(JSON.parse(data)))
      socket.addEventListener('close', ({ code }) => {
        end.code = code
      })
      return { socket, events, end }
    }
    const upgrade = (headers: Record<string, string>): ClientRequest =>
      request(`${gateway.url}/api/v1/events`, {
        agent: false,
        headers: {
          connection: 'upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          ...headers
        }
      }).end()

    it('tells what happens, and says goodbye', async () => {
      await start()
      const { socket, events, end } = follow(['artel.v1', `bearer.${gateway.token}`])
      await until(
        () => ['peers', 'balance', 'stats'].every(type => events.some(event => event.type === type)),
        'it begins'
      )
      assert.equal(socket.protocol, 'artel.v1')
      const detail = { ...REPORT, state: 'completed' }
      scheduler.dispatchEvent(new CustomEvent('job:add', { detail: REPORT }))
      scheduler.dispatchEvent(new CustomEvent('job:end', { detail }))
      await until(() => events.some(({ type }) => type === 'end'), 'the end is told')
      const told = events.filter(({ job }) => job?.job === REPORT.job)
      assert.deepEqual(
        told.map(({ type, job }) => [type, job.state, job.paid]),
        [
          ['job', 'queued', '5'],
          ['end', 'completed', '5']
        ]
      )
      await gateway.stop()
      await until(() => end.code === 1001, 'it is told that the node stops')
    })

    it('wants a token and a right origin there too', async () => {
      await start()
      const protocols = `artel.v1, bearer.${gateway.token}`
      for (const [headers, status] of [
        [{}, 401],
        [{ 'sec-websocket-protocol': 'artel.v1, bearer.nobody' }, 401],
        [{ 'sec-websocket-protocol': protocols, origin: 'https://evil.example' }, 403],
        [{ 'sec-websocket-protocol': protocols, host: 'evil.example' }, 403]
      ] as [Record<string, string>, number][]) {
        const [answer] = (await once(upgrade(headers), 'response')) as [IncomingMessage]
        assert.equal(answer.statusCode, status)
        answer.destroy()
      }
      const [answer, socket] = await once(
        upgrade({ 'sec-websocket-protocol': protocols, origin: gateway.url! }),
        'upgrade'
      )
      assert.equal(answer.statusCode, 101)
      socket.destroy()
    })

    it('takes a hundred, and tells who comes then to come again', async () => {
      await start()
      const headers = { 'sec-websocket-protocol': `artel.v1, bearer.${gateway.token}` }
      const open = async (): Promise<Socket> => {
        const [, socket] = await once(upgrade(headers), 'upgrade')
        return socket
      }
      const sockets: Socket[] = []
      try {
        for (let i = 0; i < MAX_READERS; i++) sockets.push(await open())
        assert.equal(sockets.length, 100)
        const [answer] = (await once(upgrade(headers), 'response')) as [IncomingMessage]
        assert.equal(answer.statusCode, 503)
        assert.ok(Number(answer.headers['retry-after']) > 0)
        const chunks = await Array.fromAsync(answer as AsyncIterable<Buffer>)
        assert.equal(JSON.parse(Buffer.concat(chunks).toString()).title, 'TooManyReadersError')
        sockets.pop()!.destroy()
        await until(async () => {
          const asked = upgrade(headers)
          const socket = await new Promise<Socket | undefined>((resolve, reject) => {
            asked.on('upgrade', (_, taken) => resolve(taken))
            asked.on('response', refused => {
              refused.destroy()
              resolve(undefined)
            })
            asked.on('error', reject)
          })
          if (socket != null) sockets.push(socket)
          return socket != null
        }, 'there is room again')
      } finally {
        for (const socket of sockets) socket.destroy()
      }
    })

    it('takes so many visitors of one home, and others beside them', async () => {
      homes = {
        of: () => ({ name: 'bob', isHere: false, peers: ['home'] }),
        answering: async (peers: string[]) => peers,
        signIn: async () => ({
          token: 'of home',
          expires: Date.now() + 3_600_000,
          device: 'mark',
          scopes: ['messenger:read'],
          account: { id: '1', name: 'bob', role: 'pupil', created: 0, hasSecondFactor: false }
        }),
        async *watch(_: unknown, signal: AbortSignal) {
          yield { type: 'here' }
          if (!signal.aborted) await once(signal, 'abort')
        }
      }
      await start()
      const signedIn = await fetch(`${gateway.url}/api/v1/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'bob@home', password: 'correct horse battery' })
      })
      const { token } = (await signedIn.json()) as { token: string }
      const asked = (bearer: string) => upgrade({ 'sec-websocket-protocol': `artel.v1, bearer.${bearer}` })
      const sockets: Socket[] = []
      try {
        for (let i = 0; i < MAX_OF_HOME; i++) {
          const [, socket] = await once(asked(token), 'upgrade')
          sockets.push(socket)
        }
        const [answer] = (await once(asked(token), 'response')) as [IncomingMessage]
        assert.equal(answer.statusCode, 503)
        answer.destroy()
        const [, owners] = await once(asked(gateway.token!), 'upgrade')
        sockets.push(owners)
        sockets.shift()!.destroy()
        await until(async () => {
          const again = asked(token)
          const [answer, socket] = await Promise.race([once(again, 'upgrade'), once(again, 'response')])
          if (answer.statusCode === 101) sockets.push(socket)
          else answer.destroy()
          return answer.statusCode === 101
        }, 'there is room again')
      } finally {
        for (const socket of sockets) socket.destroy()
        homes = undefined
      }
    })

    it('lets a reader go who never reads', async () => {
      await start()
      const protocols = `artel.v1, bearer.${gateway.token}`
      const [, socket] = await once(upgrade({ 'sec-websocket-protocol': protocols }), 'upgrade')
      socket.on('error', () => {})
      socket.pause()
      const name = 'x'.repeat(10_000)
      let job = 0
      await until(() => {
        for (let i = 0; i < 1000; i++)
          scheduler.dispatchEvent(
            new CustomEvent('job:add', { detail: { ...REPORT, job: String(job++), name } })
          )
        return scheduler.listeners === 0
      }, 'nobody listens any more')
      socket.destroy()
    })
  })
})

const REPORT = {
  job: '0123456789abcdef',
  type: 'map',
  state: 'queued',
  submitted: 1,
  done: 0,
  total: 1,
  retries: 0,
  bound: 10n,
  paid: 5n,
  shares: []
}

/** counts who listens */
class Events extends TypedEventEmitter<Record<string, CustomEvent<any>>> {
  listeners = 0
  override addEventListener(...args: any[]): void {
    this.listeners++
    ;(super.addEventListener as any)(...args)
  }
  override removeEventListener(...args: any[]): void {
    this.listeners--
    ;(super.removeEventListener as any)(...args)
  }
}

let scheduler: Events & Record<string, unknown>
let homes: unknown

/** as much of a node as these tests ask for */
function components(): GatewayComponents {
  const level = { level: 1, low: 0.8, high: 1.8 }
  const answers: Record<string, unknown> = {
    forecast: { now: 1, inOneHour: level, inSixHours: level },
    health: { status: 'ok', services: [] }
  }
  scheduler = new Events() as any
  return {
    scheduler,
    ledger: Object.assign(new TypedEventEmitter(), {
      account: 'me',
      balance: () => ({ available: 1n, reserved: 0n }),
      supply: () => ({ granted: 1n, burnt: 0n, total: 1n })
    }),
    homes: () => homes,
    services: Object.assign(new EventTarget(), {
      provide() {},
      groups: OWN_GROUPS,
      modules: [],
      call: async (_: string, operation: string) => answers[operation]
    }),
    node: {
      networkName: 'test',
      version: '0',
      peers: () => [],
      usage: () => ({ slices: 0, memoryMb: 0, peers: 0, workers: 0 })
    },
    verdict,
    explain: (error: Error) => error,
    logger: defaultLogger()
  } as any
}
