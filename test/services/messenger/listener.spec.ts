import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { request as requestTls } from 'node:https'
import type { Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { OWNER } from '../../../services/index.ts'
import { certificate, certificateKey } from './certificate.ts'
import { until } from './school.ts'

const PASSWORD = 'correct horse battery'
/** sign in at once; those of a school: MESSENGER_SIGN_INS=100 */
const SIGN_INS = Number(process.env.MESSENGER_SIGN_INS ?? 0)
const MAX_SOCKETS = 100
/** of this machine as others reach it, where it has a network */
const ADDRESS =
  Object.values(networkInterfaces())
    .flat()
    .find(each => each?.internal === false && each.family === 'IPv4')?.address ?? '127.0.0.1'

describe('messenger: its own listener', function () {
  this.timeout(600_000)
  let folder: string
  let node: ArtelNode
  /** from this machine, without TLS */
  let url: string
  let far: URL

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-messenger-listener-'))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    await writeFile(cert, certificate)
    await writeFile(key, certificateKey)
    const flags = {
      data: join(folder, 'node'),
      logLevel: 'silent',
      compute: false,
      'gateway.enabled': true,
      'gateway.port': 0,
      'messenger.enabled': true,
      'messenger.listen': true,
      'messenger.host': ADDRESS,
      'messenger.port': 0,
      'messenger.certificate': cert,
      'messenger.certificateKey': key
    }
    node = await createNode(loadConfig({ environment: {}, flags }), { role: 'seed' })
    far = new URL(node.gateway!.faceUrl!)
    url = `http://127.0.0.1:${far.port}`
    const call = (operation: string, input: object) =>
      node.services.call('messenger', operation, input as never, { caller: OWNER })
    await call('found', { name: 'School 7', me: 'Anna Admin' })
    await invite('admin')
    await call('createGroup', { users: [], title: 'notes' })
  })
  after(async () => {
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const api = (
    path: string,
    { at = `${url}/api/v1`, token = node.gateway!.token!, ...init }: Record<string, any> = {}
  ) =>
    fetch(`${at}${path}`, {
      ...init,
      method: init.method ?? (init.body == null ? 'GET' : 'POST'),
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...(init.body == null ? {} : { 'content-type': 'application/json' }),
        ...init.headers
      },
      ...(init.body == null ? {} : { body: JSON.stringify(init.body) })
    })
  async function invite(name: string): Promise<void> {
    const at = `${node.gateway!.url}/api/v1`
    const made = await api('/accounts', { at, body: { name, role: 'admin' } })
    const { code } = (await made.json()) as { code: string }
    const accepted = await api('/invitations/accept', { at, body: { code, password: PASSWORD }, token: '' })
    assert.equal(accepted.status, 200)
  }
  const signIn = (name: string, password = PASSWORD, init = {}) =>
    api('/messenger/session', { body: { name, password }, token: '', ...init })
  const upgrade = (path: string, token = node.gateway!.token!) =>
    request(`${url}${path}`, {
      agent: false,
      headers: {
        connection: 'upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-protocol': `artel.v1, bearer.${token}`
      }
    }).end()

  it('answers whoever watches the server of the guide, by GET and HEAD', async () => {
    for (const method of ['GET', 'HEAD'])
      for (const path of ['/', '/health']) {
        const [answer] = (await once(
          request(`${url}${path}`, { method, agent: false }).end(),
          'response'
        )) as [IncomingMessage]
        assert.deepEqual([answer.statusCode, answer.statusMessage], [200, 'OK'], `${method} ${path}`)
        const text = Buffer.concat(await Array.fromAsync(answer)).toString()
        const shows = method === 'HEAD' ? /^$/ : path === '/' ? /Local Messenger/ : /"status":"ok"/
        assert.match(text, shows, `${method} ${path}`)
      }
    assert.equal((await api('/metrics', { at: url, token: '' })).status, 401)
    assert.ok((await (await api('/metrics', { at: url })).text()).includes('process_cpu_seconds_total'))
  })

  it('shows the messenger and nothing else of the node, to each what he may', async () => {
    const entered = await signIn('admin')
    assert.equal(entered.status, 200)
    const { token } = (await entered.json()) as { token: string }
    const { items } = (await (await api('/messenger/groups', { token })).json()) as any
    assert.deepEqual(
      items.map(({ title }: any) => title),
      ['notes']
    )
    assert.equal((await api(`/messenger/groups/${items[0].id}/events`, { token })).status, 200)
    assert.equal((await api('/messenger/users', { token: '' })).status, 401)
    assert.equal((await api('/messenger/session', { token })).status, 200)
    for (const path of ['/network', '/tasks', '/config', '/accounts', '/files', '/tokens'])
      assert.equal((await api(path)).status, 404, path)
    assert.equal((await api('/index.html', { at: url })).status, 404)
    const { items: known } = (await (await api('/operations')).json()) as any
    const services = new Set(known.map(({ service }: any) => service))
    assert.deepEqual(
      [...services].filter(name => !['messenger', 'release', 'settings'].includes(String(name))),
      []
    )
    // a session is one, and over at once, at both listeners
    const there = `${node.gateway!.url}/api/v1`
    assert.equal((await api('/session', { at: there, token })).status, 200)
    assert.equal((await api('/messenger/session', { token, method: 'DELETE' })).status, 204)
    assert.equal((await api('/session', { at: there, token })).status, 401)
  })

  it('speaks TLS at the same port; from other machines nothing else', async function () {
    const at = far.href
    const [head] = (await once(
      requestTls(at, { rejectUnauthorized: false, agent: false }).end(),
      'response'
    )) as [IncomingMessage]
    assert.equal(head.statusCode, 200)
    head.destroy()
    if (ADDRESS === '127.0.0.1') return this.skip()
    const body = JSON.stringify({ name: 'admin', password: PASSWORD })
    const post = { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } }
    const path = 'api/v1/session'
    const [secret] = (await once(
      requestTls(`${at}${path}`, { ...post, rejectUnauthorized: false }).end(body),
      'response'
    )) as [IncomingMessage]
    assert.equal(secret.statusCode, 200)
    secret.destroy()
    const [plain] = (await once(
      request(`${at.replace('https', 'http')}${path}`, post).end(body),
      'response'
    )) as [IncomingMessage]
    assert.deepEqual([plain.statusCode, plain.headers.location], [308, `${at}${path}`])
    plain.destroy()
  })

  it('one who guesses waits at both listeners, and a browser that is known does not', async () => {
    await invite('guessed')
    const page = { origin: url }
    const known = await api('/session', {
      body: { name: 'guessed', password: PASSWORD, inBrowser: true },
      token: '',
      headers: page
    })
    const cookie = known.headers
      .getSetCookie()
      .map(line => line.split(';')[0])
      .join('; ')
    const wrong = () => signIn('guessed', 'wrong horse battery').then(({ status }) => status)
    await until('he waits', async () => {
      const status = await wrong()
      assert.ok([401, 429].includes(status), String(status))
      return status === 429
    })
    const there = await api('/session', {
      at: `${node.gateway!.url}/api/v1`,
      body: { name: 'guessed', password: 'wrong horse battery' },
      token: ''
    })
    assert.ok([401, 429].includes(there.status))
    const body = { name: 'guessed', password: PASSWORD, inBrowser: true }
    assert.equal((await api('/session', { body, token: '', headers: { ...page, cookie } })).status, 200)
    const { items } = (await (await api('/messenger/admin/audit')).json()) as any
    const audited = (name: string): string => items.find((each: any) => each.name === name).detail
    assert.match(audited('signIns'), /^[1-9]\d* failed in 30 days, most from 127\.\S+ as guessed \(/)
    assert.match(audited('passwords'), /nothing but a password: .*guessed/)
  })

  describe('live', () => {
    const listen = (after?: string) => {
      const socket = new WebSocket(
        `${url.replace('http', 'ws')}/live${after == null ? '' : `?after=${encodeURIComponent(after)}`}`,
        ['artel.v1', `bearer.${node.gateway!.token}`]
      )
      const told: any[] = []
      socket.addEventListener('message', ({ data }) => told.push(JSON.parse(data)))
      return { socket, told }
    }
    const say = async (text: string): Promise<void> => {
      const { items } = (await (await api('/messenger/groups')).json()) as any
      const { status } = await api(`/messenger/groups/${items[0].id}/events`, { body: { text } })
      assert.equal(status, 201)
    }
    const isChat = ({ type }: any): boolean => type === 'messenger:chat'

    it('who comes back with his cursor has what he missed, once, and is told where that is not known', async () => {
      const first = listen()
      await until('it begins', () => first.told.some(({ type }) => type === 'here'))
      await say('one')
      await until('it is told', () => first.told.some(isChat))
      const { cursor } = first.told.at(-1)
      first.socket.close()
      await until('it is closed', () => first.socket.readyState === WebSocket.CLOSED)
      await say('two')
      const second = listen(cursor)
      await until('what was missed', () => second.told.some(isChat))
      await until('then it is here', () => second.told.some(({ type }) => type === 'here'))
      assert.ok(!second.told.some(({ type }) => type === 'missed'))
      const cursors = second.told.filter(({ type }) => type !== 'here').map(each => each.cursor)
      assert.deepEqual([...new Set(cursors)], cursors)
      assert.ok(!cursors.includes(cursor))
      for (const wrong of ['000000000000-0', `${cursor.slice(0, 13)}999999`, 'x']) {
        const { socket, told } = listen(wrong)
        await until('it is told', () => told.length > 0)
        assert.equal(told[0].type, 'missed', wrong)
        socket.close()
      }
      second.socket.close()
    })

    it('takes a hundred, and the next has 503', async () => {
      const sockets: Socket[] = []
      try {
        let refused: IncomingMessage | undefined
        await until('one is refused', async () => {
          const asked = upgrade('/live')
          const [answer, socket] = await Promise.race([once(asked, 'upgrade'), once(asked, 'response')])
          if (answer.statusCode === 101) sockets.push(socket)
          else refused = answer
          return refused != null
        })
        assert.equal(refused!.statusCode, 503)
        assert.ok(Number(refused!.headers['retry-after']) > 0)
        refused!.destroy()
        const health = (await (await api('/messenger/admin/health')).json()) as any
        assert.equal(health.items.find(({ name }: any) => name === 'sockets').state, 'fail')
        const { lines } = (await (await api('/messenger/admin/logs/websocket')).json()) as any
        assert.match(lines.at(-1), /INFO opened by token \S+ from 127\.\S+, \d+ open$/)
        // those of the tests before may still be closing
        assert.ok(sockets.length <= MAX_SOCKETS && sockets.length > MAX_SOCKETS - 10, String(sockets.length))
      } finally {
        for (const socket of sockets) socket.destroy()
      }
    })
  })

  it('a school signs in at once', async function () {
    if (SIGN_INS === 0) return this.skip()
    const names = Array.from({ length: SIGN_INS }, (_, i) => `pupil ${i}`)
    for (const name of names) await invite(name)
    const answers = await Promise.all(names.map(name => signIn(name)))
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  })
})
