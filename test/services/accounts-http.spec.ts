import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { TOTP } from 'otpauth'
import { createOperations, serveControl } from '../../node/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { TestGateway } from './gateway-node.ts'

const run = promisify(execFile)
const ARTEL = fileURLToPath(new URL('../../node/cli/artel.js', import.meta.url))
const PASSWORD = 'correct horse battery'
const OPEN = ['health', 'ready', 'signIn', 'lookAtInvitation', 'acceptInvitation']
const OWN = [
  'me',
  'signOut',
  'ownSessions',
  'endOwnSession',
  'changePassword',
  'enrolSecondFactor',
  'confirmSecondFactor',
  'removeOwnSecondFactor'
]
/** what each role reaches beside OPEN and OWN, by the scopes of the routes */
const ROLES: Record<string, string[]> = { pupil: [], teacher: ['read', 'submit'] }

describe('gateway: accounts', () => {
  let gateway: TestGateway

  before(async () => {
    gateway = await TestGateway.start()
  })
  after(() => gateway?.[Symbol.asyncDispose]())

  const invite = async (name: string, role = 'pupil'): Promise<string> =>
    (await gateway.call('POST /api/v1/accounts', { body: { name, role } })).body.code
  /** makes an account and signs in; the answer is the session's bearer */
  const enter = async (name: string, role = 'pupil'): Promise<string> => {
    const body = { code: await invite(name, role), password: PASSWORD }
    const answer = await gateway.call('POST /api/v1/invitations/accept', { token: null, body })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body.token
  }
  const signIn = (body: object, headers: Record<string, string> = {}) =>
    gateway.call('POST /api/v1/session', { token: null, body, headers })
  const me = (token: string) => gateway.call('GET /api/v1/session', { token })

  /** as a browser would: fetch sets neither Origin nor Cookie */
  const browse = async (
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: unknown,
    localAddress = '127.0.0.1'
  ) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const sent = request(`${gateway.url}${path}`, {
      method,
      localAddress,
      agent: false,
      headers: { ...(text == null ? {} : { 'content-type': 'application/json' }), ...headers }
    })
    const [answer] = (await once(sent.end(text), 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk)
    return { status: answer.statusCode!, headers: answer.headers, text: Buffer.concat(chunks).toString() }
  }
  const cookiesOf = (headers: IncomingMessage['headers']) =>
    (headers['set-cookie'] ?? []).map(line => line.split(';')[0]).join('; ')

  it('lets each role reach the routes of its scopes and no other', async () => {
    const tokens = { pupil: await enter('role-pupil'), teacher: await enter('role-teacher', 'teacher') }
    const routes = Object.entries(gateway.document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, described]) => ({ path, method, described }))
    )
    assert.ok(routes.length > 50)
    for (const [role, scopes] of Object.entries(ROLES))
      for (const { path, method, described } of routes) {
        const { operationId } = described
        const isReached =
          OPEN.includes(operationId) || OWN.includes(operationId) || scopes.includes(described['x-scope'])
        // ends the session; that it is reached is seen below
        if (['signOut', 'endOwnSession'].includes(operationId)) continue
        const answer = await fetch(`${gateway.url}${path.replaceAll(/\{\w+\}/g, 'none')}`, {
          method: method.toUpperCase(),
          headers: {
            authorization: `Bearer ${tokens[role as keyof typeof tokens]}`,
            'content-type': 'application/json'
          },
          ...(method === 'get' ? {} : { body: '{}' })
        })
        await answer.body?.cancel()
        assert.equal(answer.status !== 403, isReached, `${role}: ${method} ${path} answers ${answer.status}`)
        if (!OPEN.includes(operationId) && !OWN.includes(operationId))
          assert.ok(described['x-scope'], `${operationId} names its scope`)
      }
  })

  it('lets nobody without a token or session in but where everybody may', async () => {
    for (const [i, operation] of gateway.operations.entries()) {
      const [method, path] = operation.split(' ') as [string, string]
      const { operationId } = gateway.document.paths[path]![method.toLowerCase()]
      // an address that is refused sixty times is made to wait
      const address = `127.0.1.${1 + Math.floor(i / 50)}`
      const body = ['GET', 'DELETE'].includes(method) ? undefined : {}
      const { status } = await browse(method, path.replaceAll(/\{\w+\}/g, 'none'), {}, body, address)
      assert.equal(status === 401, !OPEN.includes(operationId), `${operation} ${status}`)
    }
  })

  it('makes people, signs them in and out, and forgets them', async () => {
    const code = await invite('Anna')
    const look = await gateway.call('POST /api/v1/invitations/look', { token: null, body: { code } })
    assert.equal(look.body.name, 'Anna')
    const weak = { code, password: 'password12' }
    assert.equal(
      (await gateway.call('POST /api/v1/invitations/accept', { token: null, body: weak })).status,
      400
    )
    const accepted = await gateway.call('POST /api/v1/invitations/accept', {
      token: null,
      body: { code, password: PASSWORD }
    })
    const { token } = accepted.body
    const { body } = await me(token)
    assert.deepEqual([body.account.name, body.account.role, body.scopes], ['Anna', 'pupil', []])
    assert.equal((await signIn({ name: 'anna', password: 'wrong' })).status, 401)
    const second = (await signIn({ name: 'ANNA', password: PASSWORD })).body.token
    const own = await gateway.call('GET /api/v1/account/sessions', { token })
    assert.equal(own.body.items.length, 2)
    const all = await gateway.call('GET /api/v1/sessions', { query: { account: body.account.id } })
    assert.deepEqual(
      all.body.items,
      (await gateway.call('GET /api/v1/account/sessions', { token })).body.items
    )
    assert.equal((await gateway.call('DELETE /api/v1/session', { token: second })).status, 204)
    assert.equal((await me(second)).status, 401)
    const third = (await signIn({ name: 'anna', password: PASSWORD })).body
    const params = { id: third.session.id }
    assert.equal((await gateway.call('DELETE /api/v1/account/sessions/{id}', { token, params })).status, 204)
    assert.equal((await gateway.call('DELETE /api/v1/account/sessions/{id}', { token, params })).status, 404)
    const change = { current: PASSWORD, password: 'another horse battery' }
    assert.equal((await gateway.call('POST /api/v1/account/password', { token, body: change })).status, 204)
    const id = { id: body.account.id }
    const disabled = await gateway.call('POST /api/v1/accounts/{id}/disable', { params: id })
    assert.equal(disabled.body.isDisabled, true)
    assert.equal((await me(token)).status, 401)
    const enabled = await gateway.call('POST /api/v1/accounts/{id}/enable', { params: id })
    assert.equal(enabled.body.isDisabled, false)
    const promoted = await gateway.call('PUT /api/v1/accounts/{id}/role', {
      params: id,
      body: { role: 'teacher' }
    })
    assert.equal(promoted.body.role, 'teacher')
    const reset = await gateway.call('POST /api/v1/accounts/{id}/reset', { params: id })
    assert.equal(reset.body.name, 'Anna')
    assert.equal((await gateway.call('DELETE /api/v1/accounts/{id}', { params: id })).status, 204)
    assert.equal((await gateway.call('DELETE /api/v1/accounts/{id}', { params: id })).status, 404)
    const { items } = (await gateway.call('GET /api/v1/accounts')).body
    assert.ok(!items.some((account: any) => account.name === 'Anna'))
  })

  it('invites, brings in lists, and changes what roles may', async () => {
    const { body: invited } = await gateway.call('POST /api/v1/invitations', { body: { role: 'pupil' } })
    const { body: waiting } = await gateway.call('GET /api/v1/invitations')
    assert.ok(waiting.items.some(({ id }: any) => id === invited.id))
    assert.ok(!JSON.stringify(waiting).includes(invited.code))
    const params = { id: invited.id }
    assert.equal((await gateway.call('DELETE /api/v1/invitations/{id}', { params })).status, 204)
    const list = 'name;role\nlist-anna;\nlist-boris;teacher\n'
    const body = { list, role: 'pupil', isPreview: true }
    const preview = await gateway.call('POST /api/v1/accounts/import', { body })
    assert.deepEqual([preview.body.isDone, preview.body.lines.length], [false, 2])
    const done = await gateway.call('POST /api/v1/accounts/import', { body: { list, role: 'pupil' } })
    assert.deepEqual(
      done.body.invitations.map(({ name, role }: any) => [name, role]),
      [
        ['list-anna', 'pupil'],
        ['list-boris', 'teacher']
      ]
    )
    const role = { name: 'helper', scopes: ['read'] }
    assert.equal((await gateway.call('POST /api/v1/roles', { body: role })).status, 200)
    const roles = (await gateway.call('GET /api/v1/roles')).body.items
    assert.deepEqual(
      roles.map(({ name }: any) => name),
      ['admin', 'helper', 'pupil', 'teacher']
    )
    assert.equal(
      (await gateway.call('DELETE /api/v1/roles/{name}', { params: { name: 'helper' } })).status,
      204
    )
  })

  it('does the same for the owner on the command line, and ends tokens there', async () => {
    const { config } = gateway.node
    const operations = createOperations(gateway.node)
    const close = await serveControl(config.data, operations)
    const artel = async (...args: string[]) => {
      const { stdout } = await run(process.execPath, [ARTEL, ...args, '--data', config.data], {
        timeout: 120_000
      })
      return stdout
    }
    try {
      const file = join(gateway.folder, 'class.csv')
      await writeFile(file, 'name,role\ncli-anna,\ncli-boris,teacher\n')
      assert.match(
        await artel('account', 'import', file, '--role', 'pupil'),
        /#invite=\S+, within seven days\ndone\n$/
      )
      const { items } = await operations.account.list()
      assert.equal(items.find(({ name }) => name === 'cli-boris')?.role, 'teacher')
      const { id, token } = await operations.token.add({ name: 'cli', scopes: ['read'] })
      assert.equal((await me(token)).status, 200)
      assert.equal(await artel('token', 'remove', id), 'done\n')
      assert.equal((await me(token)).status, 401)
    } finally {
      await close()
    }
  })

  it('asks for a second factor where there is one', async () => {
    const token = await enter('factor')
    const { secret } = (await gateway.call('POST /api/v1/account/second-factor', { token })).body
    const app = new TOTP({ secret })
    const code = (ahead = 0) => app.generate({ timestamp: Date.now() + ahead })
    const wrong = { code: code() === '000000' ? '000001' : '000000' }
    const confirm = 'POST /api/v1/account/second-factor/confirm'
    assert.equal((await gateway.call(confirm, { token, body: wrong })).status, 401)
    // the code before this one is good for as long as this one is
    await until(() => Date.now() % 30_000 < 20_000, 'some seconds are left of it')
    assert.equal((await gateway.call(confirm, { token, body: { code: code(-30_000) } })).status, 204)
    const asked = await signIn({ name: 'factor', password: PASSWORD })
    assert.deepEqual([asked.status, asked.body.title], [401, 'SecondFactorError'])
    assert.equal((await signIn({ name: 'factor', password: PASSWORD, code: code() })).status, 200)
    const remove = 'POST /api/v1/account/second-factor/remove'
    assert.equal((await gateway.call(remove, { token, body: { code: code(30_000) } })).status, 204)
    assert.equal((await signIn({ name: 'factor', password: PASSWORD })).status, 200)
    const { account } = (await me(token)).body
    const params = { id: account.id }
    assert.equal((await gateway.call('DELETE /api/v1/accounts/{id}/second-factor', { params })).status, 204)
  })

  it('ends open event streams with the session, and with a token', async () => {
    const job = await gateway.call('POST /api/v1/tasks', {
      body: { type: 'range_reduce', start: 1, end: 1e12, map: 'x => x % 7', operation: 'sum' }
    })
    const { body: made } = await gateway.call('POST /api/v1/tokens', {
      body: { name: 'x', scopes: ['read'] }
    })
    const session = await enter('follower', 'teacher')
    const { body: who } = await me(session)
    const ends: [string, () => Promise<unknown>][] = [
      [session, () => gateway.call('DELETE /api/v1/sessions/{id}', { params: { id: who.session } })],
      [made.token, () => gateway.call('DELETE /api/v1/tokens/{id}', { params: { id: made.id } })]
    ]
    for (const [token, end] of ends) {
      const waiting = gateway
        .call('GET /api/v1/tasks/{id}/result', {
          params: { id: job.body.job.job },
          query: { wait: 60_000 },
          token
        })
        .then(
          ({ status }) => status,
          () => 'cut'
        )
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/api/v1/events`, [
        'artel.v1',
        `bearer.${token}`
      ])
      await once(socket, 'message')
      const closed = once(socket, 'close')
      const stream = await fetch(`${gateway.url}/api/v1/tasks/${job.body.job.job}/events`, {
        headers: { authorization: `Bearer ${token}` }
      })
      assert.equal(stream.status, 200)
      const read = stream.text().then(
        () => 'ended',
        () => 'cut'
      )
      await end()
      const [{ code }] = await closed
      assert.equal(code, 1008)
      assert.equal(await read, 'cut')
      // or it came too late to be let in
      assert.ok(['cut', 401].includes(await waiting))
    }
    await gateway.call('POST /api/v1/tasks/{id}/cancel', { params: { id: job.body.job.job } })
  })

  it('gives a browser cookies that no script reads and no other page uses', async () => {
    await enter('browser', 'teacher')
    const origin = gateway.url
    const body = { name: 'browser', password: PASSWORD, inBrowser: true }
    const foreign = await browse('POST', '/api/v1/session', {}, body)
    assert.equal(foreign.status, 403)
    const signed = await browse('POST', '/api/v1/session', { origin }, body)
    assert.equal(signed.status, 200)
    assert.equal(JSON.parse(signed.text).token, undefined)
    const { port } = new URL(gateway.url)
    const [session, device] = signed.headers['set-cookie']!
    assert.match(session!, new RegExp(`^artel-session-${port}=artel_s`))
    for (const line of [session, device])
      for (const part of ['HttpOnly', 'SameSite=Strict', 'Path=/api/v1'])
        assert.ok(line!.includes(part), line)
    assert.ok(!session!.includes('Secure'))
    const cookie = cookiesOf(signed.headers)
    const read = (headers: Record<string, string>) =>
      browse('GET', '/api/v1/forecast', { cookie, ...headers })
    const write = (headers: Record<string, string>) =>
      browse('POST', '/api/v1/account/second-factor', { cookie, ...headers })
    for (const headers of [{}, { origin }, { 'sec-fetch-site': 'same-origin' }] as Record<string, string>[])
      assert.equal((await read(headers)).status, 200, JSON.stringify(headers))
    // another port of this host is the same site for the browser, and no page of ours
    assert.equal((await read({ 'sec-fetch-site': 'same-site' })).status, 401)
    assert.equal((await write({})).status, 401)
    assert.equal((await write({ origin: 'http://127.0.0.1:1' })).status, 403)
    assert.equal((await write({ origin })).status, 200)
    const upgrade = (headers: Record<string, string>) =>
      request(`${gateway.url}/api/v1/events`, {
        agent: false,
        headers: {
          connection: 'upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'sec-websocket-protocol': 'artel.v1',
          cookie,
          ...headers
        }
      }).end()
    const [refused] = (await once(upgrade({}), 'response')) as [IncomingMessage]
    assert.equal(refused.statusCode, 401)
    refused.destroy()
    const [, socket] = await once(upgrade({ origin }), 'upgrade')
    // a close frame with 1008, policy
    const closed = new Promise<void>(resolve =>
      socket.on('data', (bytes: Buffer) => bytes.includes(Buffer.from([0x03, 0xf0])) && resolve())
    )
    const out = await browse('DELETE', '/api/v1/session', { cookie, origin })
    assert.equal(out.status, 204)
    assert.match(out.headers['set-cookie']![0]!, /^artel-session-\d+=; .*Max-Age=0/)
    await closed
    socket.destroy()
    assert.equal((await read({})).status, 401)
  })

  it('spends little on a thousand wrong passwords, and honest people still get in', async () => {
    const session = await enter('target')
    const origin = gateway.url
    const body = { name: 'target', password: PASSWORD, inBrowser: true }
    const cookie = cookiesOf((await browse('POST', '/api/v1/session', { origin }, body)).headers)
    const before = process.cpuUsage()
    const begun = performance.now()
    const guess = (i: number) =>
      fetch(`${gateway.url}/api/v1/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'target', password: `guess ${i}` })
      })
    const statuses = new Map<number, number>()
    for (let i = 0; i < 1000; i += 50)
      await Promise.all(
        Array.from({ length: 50 }, async (_, k) => {
          const answer = await guess(i + k)
          await answer.body?.cancel()
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
          if (answer.status === 429) assert.ok(Number(answer.headers.get('retry-after')) > 0)
        })
      )
    // each wrong password that is looked at costs a hash: only few are, five and one after each wait, the next twice as long
    const waits = Math.log2((performance.now() - begun) / 1000 + 1)
    assert.ok(statuses.get(401)! <= 5 + Math.ceil(waits), JSON.stringify([...statuses]))
    assert.equal(statuses.get(401)! + statuses.get(429)!, 1000)
    const { user, system } = process.cpuUsage(before)
    assert.ok(user + system < 1000 * 100_000, 'less than a thousand hashes would take')
    await until(async () => {
      const asked = performance.now()
      const { headers } = await guess(1000)
      const waitMs = 1000 * Number(headers.get('retry-after'))
      if (waitMs <= 5_000) return false
      const { status } = await signIn({ name: 'target', password: PASSWORD })
      // on a busy machine it may be over
      return performance.now() - asked < waitMs && status === 429
    }, 'the right password waits, too')
    // who is signed in, and a browser that was
    assert.equal((await me(session)).status, 200)
    assert.equal((await browse('POST', '/api/v1/session', { origin, cookie }, body)).status, 200)
    // and another person from the same address
    const other = await invite('classmate')
    const accept = () =>
      gateway.call('POST /api/v1/invitations/accept', {
        token: null,
        body: { code: other, password: PASSWORD }
      })
    let accepted = await accept()
    // a thousand requests within ten seconds are all that strangers of one address have
    for (; accepted.status === 429; accepted = await accept()) {
      const seconds = Number(accepted.headers.get('retry-after'))
      assert.ok(seconds <= 10, `${seconds} s`)
      await delay(1000 * seconds)
    }
    assert.equal(accepted.status, 200)
    await until(async () => (await gateway.call('GET /health')).status === 200, 'it answers')
  })

  it('had every operation about people exercised', () => {
    assert.deepEqual(gateway.unexercised('account', 'your account'), [])
  })
})
