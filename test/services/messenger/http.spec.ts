import assert from 'node:assert/strict'
import { once } from 'node:events'
import { networkId } from '../../../bootstrap/index.ts'
import { serviceProtocol } from '../../../services/host/names.ts'
import { askPeer } from '../../../services/host/peer-streams.ts'
import { fromParts, inParts } from '../../../services/messenger/home/parts.ts'
import { messages } from '../../../services/messenger/messages.ts'
import { MAX_WRITES } from '../../../services/messenger/people/acting.ts'
import { openGateways } from './gateways.ts'
import { until } from './school.ts'

const PASSWORD = 'correct horse battery'
const WRONG = 'wrong horse battery'
const MAX_BYTES = 10_000_000

describe('messenger: over HTTP', function () {
  this.timeout(600_000)
  let school: Awaited<ReturnType<typeof openGateways>>
  let id: Uint8Array

  before(async () => {
    school = await openGateways({ isFounded: true, ofBob: { 'messenger.home': true } })
    const { bob, desk, ask, call } = school
    id = Buffer.from((await call(desk, 'status')).school.id, 'hex')
    await ask(bob, 'POST', '/roles', { name: 'chatter', scopes: ['messenger:write'] })
    for (const [name, role] of [
      ['Bob', 'admin'],
      ['Eve', 'chatter']
    ]) {
      const { body } = await ask(bob, 'POST', '/accounts', { name, role })
      const accepted = await ask(bob, 'POST', '/invitations/accept', { code: body.code, password: PASSWORD })
      assert.equal(accepted.status, 200)
    }
  })
  after(() => school?.[Symbol.asyncDispose]())

  it('answers with the right status, to each what his scopes and his account allow, and so often', async () => {
    const { desk, bob, ask, call } = school
    const tokenFor = async (scopes: string[]): Promise<string> =>
      (await ask(bob, 'POST', '/tokens', { name: scopes.join(), scopes })).body.token
    const [reader, writer, stranger] = [
      await tokenFor(['messenger:read']),
      await tokenFor(['messenger:write']),
      await tokenFor(['read'])
    ]
    const statusOf = async (...args: Parameters<typeof ask>): Promise<number> => (await ask(...args)).status

    let group = ''
    await until('the chat is begun', async () => {
      const { status, body } = await ask(desk, 'POST', '/messenger/groups', { users: ['bob'], title: '7b' })
      if (status === 201) group = body.id
      return status === 201
    })
    await until('bob is in it', async () =>
      (await call(bob, 'groups')).items.some((each: any) => each.id === group && each.isIn)
    )
    const events = `/messenger/groups/${group}/events`

    // scopes
    for (const path of ['/messenger/status', '/messenger/groups', '/messenger/users', events])
      assert.deepEqual(
        [
          await statusOf(bob, 'GET', path, undefined, reader),
          await statusOf(bob, 'GET', path, undefined, stranger)
        ],
        [200, 403],
        path
      )
    assert.equal(await statusOf(bob, 'GET', '/messenger/groups', undefined, 'nobody'), 401)
    assert.equal(await statusOf(bob, 'POST', events, { text: 'no' }, reader), 403)
    for (const [method, path, body] of [
      ['PUT', '/messenger/users/eve', { name: 'Eve' }],
      ['POST', '/messenger/imports', { csv: '' }],
      ['PATCH', '/messenger/admin/policy', {}],
      ['POST', `/messenger/groups/${group}/files/from-path`, { path: '/etc/passwd' }]
    ] as const)
      assert.equal(await statusOf(bob, method, path, body, writer), 403, path)

    // the same key writes once
    const key = { 'idempotency-key': 'k1' }
    const first = await ask(bob, 'POST', events, { text: 'hello' }, writer, key)
    const second = await ask(bob, 'POST', events, { text: 'hello' }, writer, key)
    assert.equal(first.status, 201)
    assert.deepEqual(second.body, first.body)
    assert.equal(await statusOf(bob, 'POST', events, { text: 'else' }, writer, key), 409, 'it would be lost')
    const { body: page } = await ask(bob, 'GET', events, undefined, reader)
    assert.deepEqual(
      page.items.filter((each: any) => each.text != null).map((each: any) => each.text),
      ['hello']
    )
    // what is wrong is said by status
    const nowhere = 'f'.repeat(64)
    assert.equal(await statusOf(bob, 'GET', '/messenger/groups/x/events', undefined, reader), 400)
    assert.equal(await statusOf(bob, 'GET', `/messenger/groups/${nowhere}/events`, undefined, reader), 404)
    assert.equal(await statusOf(bob, 'POST', events, { text: '' }, writer), 400)
    assert.equal(await statusOf(bob, 'POST', events, { text: 'x'.repeat(4_001) }, writer), 400)
    assert.equal(await statusOf(bob, 'PUT', '/messenger/users/eve', { name: 'Eve' }), 403, 'bob is no admin')
    const bytes = Buffer.alloc(5 * 1024 * 1024 + 1).toString('base64')
    const large = await ask(bob, 'POST', `/messenger/groups/${group}/files`, { name: 'big', bytes }, writer)
    assert.deepEqual([large.status, large.body.title], [403, 'PolicyError'])
    assert.match(large.body.detail, /5 MB/)

    // people who sign in at this node: Bob chats, Eve does not, whatever her role allows
    const signIn = async (name: string): Promise<string> =>
      (await ask(bob, 'POST', '/session', { name, password: PASSWORD })).body.token
    const [bobs, eves] = [await signIn('Bob'), await signIn('Eve')]
    assert.equal((await ask(bob, 'GET', '/messenger/status', undefined, bobs)).body.isYours, true)
    assert.equal((await ask(bob, 'GET', '/messenger/status', undefined, eves)).body.isYours, false)
    assert.equal(await statusOf(bob, 'GET', events, undefined, bobs), 200)
    for (const path of [events, '/messenger/groups', '/messenger/search?text=hello'])
      assert.equal(await statusOf(bob, 'GET', path, undefined, eves), 403, path)
    assert.equal(await statusOf(bob, 'POST', events, { text: 'as bob' }, eves), 403)

    // a flood of one is refused with when to come again, and nobody else is held up
    // of twice as many at once, one minute has too many, wherever it begins
    const answers = await Promise.all(
      Array.from({ length: 2 * MAX_WRITES + 1 }, (_, at) =>
        ask(bob, 'PUT', `/messenger/groups/${group}/read`, { at }, writer)
      )
    )
    const refused = answers.find(({ status }) => status !== 200)
    assert.deepEqual([refused?.status, refused?.body.title], [429, 'TooManyMessagesError'])
    assert.ok(Number(refused?.headers.get('retry-after')) > 0)
    assert.equal(await statusOf(bob, 'PUT', `/messenger/groups/${group}/read`, { at: 1 }, bobs), 200)
  })

  describe('homes of accounts', () => {
    /** What the program of a node may ask that was changed by whoever stole it. */
    function stolen(from = school.desk, at = school.bob) {
      const init = {
        network: from.libp2p,
        protocol: serviceProtocol(networkId(from.network), 'messenger', 1),
        messages,
        signal: new AbortController().signal
      }
      const open = (name: keyof typeof messages, request: object) =>
        askPeer(init, at.id, name, { school: id, ...request })
      return {
        signIn: (name: string, password: string): Promise<any> =>
          open('signIn', { name, password, agent: 'test' }).answer,
        signOut: (token: string) => open('signOut', { token }).answer,
        async ask(token: string, operation: string, input: object = {}): Promise<any> {
          const { items, answer, send, end } = open('ask', { token, operation })
          const sent = (async () => {
            for (const part of inParts(JSON.stringify(input))) await send(part)
            await end()
          })()
          // the answer says why
          sent.catch(() => undefined)
          const output = await fromParts(items as AsyncIterable<Uint8Array>, MAX_BYTES)
          await answer
          return output
        }
      }
    }
    it('a person of a home does at another node what she may, and nothing that outlives the session', async () => {
      const { bob, ask, call } = school
      const { signIn, signOut, ask: asked } = stolen()
      const { token, scopes, account } = await signIn('Bob', PASSWORD)
      assert.deepEqual(scopes, ['messenger:read', 'messenger:write'], 'of an admin no more than that')
      assert.equal(account.name, 'Bob')
      assert.equal((await asked(token, 'status')).isYours, true)

      let group = ''
      await until('the chat is begun', async () => {
        group = await asked(token, 'createGroup', { users: ['admin'], title: 'of two' }).then(
          ({ id }) => id,
          () => ''
        )
        return group !== ''
      })
      await asked(token, 'send', { group, text: 'from afar' })
      const bytes = Buffer.alloc(3_000_000, 'x')
      await asked(token, 'addFile', { group, name: 'large', bytes: bytes.toString('base64') })
      const { items } = await call(bob, 'messages', { group })
      const [file, text] = items.filter((each: any) => each.file != null || each.text != null)
      assert.deepEqual([text.text, file.file.name], ['from afar', 'large'])
      const back = await asked(token, 'file', { message: file.id })
      assert.ok(bytes.equals(Buffer.from(back.bytes, 'base64')))

      for (const [operation, input] of [
        ['addDevice', {}],
        ['confirmDevice', { digits: '123456' }],
        ['makeRecovery', {}],
        ['revoke', { device: bob.id }],
        ['backup', {}],
        ['setPolicy', { presence: true }],
        ['saveFile', { message: file.id, path: '/out' }]
      ] as const)
        await assert.rejects(asked(token, operation, input), { name: 'ForbiddenError' }, operation)
      await assert.rejects(asked(token, 'toString'), { name: 'UnknownOperationError' })
      await assert.rejects(asked(token, 'send', { group, text: '' }), { name: 'RequestError' })
      const flood = asked(token, 'send', { group, text: 'x'.repeat(100_000) })
      await assert.rejects(flood, { name: 'RequestError' })

      // the owner of the account sees it at home, and ends it
      const { body } = await ask(bob, 'GET', '/sessions')
      const own = body.items.find(({ address }: any) => address === `peer ${school.desk.id}`)
      assert.equal(own.name, 'Bob')
      assert.equal((await ask(bob, 'DELETE', `/sessions/${own.id}`)).status, 204)
      await assert.rejects(asked(token, 'status'), { name: 'UnauthorizedError' })
      const second = await signIn('Bob', PASSWORD)
      await signOut(second.token)
      await assert.rejects(asked(second.token, 'status'), { name: 'UnauthorizedError' })
    })

    it('a session that a node carries is one for it alone, and no session of home is one for a node', async () => {
      const { bob, ask } = school
      const { signIn, ask: asked } = stolen()
      const { token } = await signIn('Bob', PASSWORD)
      assert.equal((await ask(bob, 'GET', '/session', undefined, token)).status, 401)
      const { body } = await ask(bob, 'POST', '/session', { name: 'Bob', password: PASSWORD })
      await assert.rejects(asked(body.token, 'status'), { name: 'UnauthorizedError' })
      await assert.rejects(asked(bob.gateway!.token!, 'status'), { name: 'UnauthorizedError' })
      // known to the network, but not to the school
      const other = await school.another('other')
      await other.libp2p.dial(bob.libp2p.getMultiaddrs())
      const { signIn: signInThere, ask: askThere } = stolen(other)
      await assert.rejects(askThere(token, 'status'), { name: 'ForbiddenError' })
      await assert.rejects(signInThere('Bob', PASSWORD), { name: 'ForbiddenError' })
    })

    it('nobody signs in but the person of the node, nor where its owner does not allow it', async () => {
      const { bob, desk } = school
      await assert.rejects(stolen().signIn('Eve', PASSWORD), { name: 'ForbiddenError', message: /no home/ })
      const off = stolen(bob, desk).signIn('admin', PASSWORD)
      await assert.rejects(off, { name: 'ForbiddenError', message: /messenger\.home/ })
    })

    it('attempts of a node are limited, and those from elsewhere do not wait for it', async () => {
      const { bob, ask } = school
      const { signIn } = stolen()
      await until('it waits', () =>
        signIn('Bob', WRONG).then(
          () => assert.fail('it was let in'),
          ({ name }: Error) => {
            assert.ok(['SignInError', 'AttemptsError'].includes(name), name)
            return name === 'AttemptsError'
          }
        )
      )
      assert.equal((await ask(bob, 'POST', '/session', { name: 'Bob', password: PASSWORD })).status, 200)
      await until('nobody is locked out for ever', () =>
        signIn('Bob', PASSWORD).then(
          () => true,
          ({ name }: Error) => {
            assert.equal(name, 'AttemptsError')
            return false
          }
        )
      )
    })

    describe('at the gateway of another node', () => {
      const signIn = (name: string, password = PASSWORD) =>
        school.ask(school.desk, 'POST', '/session', { name, password }, '')
      /** sessions at Bob's node that the desk carries */
      const carried = async (): Promise<string[]> =>
        (await school.ask(school.bob, 'GET', '/sessions')).body.items
          .filter(({ address }: any) => address === `peer ${school.desk.id}`)
          .map(({ id }: any) => id)
      const of = (token: string) => (method: string, path: string, body?: object) =>
        school.ask(school.desk, method, path, body, token)

      it('a person signs in with name@home and has his chats, live, and nothing of that node', async () => {
        const { desk, bob, call } = school
        const before = await carried()
        const entered = await signIn(`Bob@${bob.id}`)
        assert.equal(entered.status, 200, JSON.stringify(entered.body))
        const { token, account, session } = entered.body
        assert.deepEqual([account.name, session.name], ['Bob', 'Bob'])
        const ask = of(token)
        const { body: me } = await ask('GET', '/session')
        assert.deepEqual(
          [me.home, me.account, me.session, me.scopes],
          [bob.id, account, session.id, ['messenger:read', 'messenger:write']]
        )
        const { body: status } = await ask('GET', '/messenger/status')
        assert.deepEqual([status.isYours, status.device], [true, (await call(bob, 'status')).device])

        const heard: { type: string; value?: any }[] = []
        let socket: WebSocket
        let isMissed = false
        let isOver = false
        const listen = (): void => {
          const url = `${desk.gateway!.url!.replace('http', 'ws')}/api/v1/events`
          socket = new WebSocket(url, ['artel.v1', `bearer.${token}`])
          socket.addEventListener('message', ({ data }) => heard.push(JSON.parse(data)))
          // as a page does; a machine that stood still may have lost it
          socket.addEventListener('close', () => {
            isMissed = true
            if (!isOver) listen()
          })
        }
        listen()
        await until('the home tells', () => heard.length > 0)
        let group = ''
        await until('the chat is begun', async () => {
          const { status, body } = await ask('POST', '/messenger/groups', { users: ['admin'], title: 'live' })
          if (status === 201) group = body.id
          return status === 201
        })
        const events = `/messenger/groups/${group}/events`
        const sent = await ask('POST', events, { text: 'from the desk' })
        assert.equal(sent.status, 201)
        const { items } = (await ask('GET', events)).body
        assert.ok(items.some(({ text, by }: any) => text === 'from the desk' && by.id === 'bob'))
        await until('it was told', async () => {
          if (isMissed) await ask('POST', events, { text: 'once more' })
          isMissed = false
          return heard.some(({ type, value }) => type === 'messenger:chat' && value.chat === group)
        })
        assert.deepEqual([...new Set(heard.map(({ type }) => type.split(':')[0]))].toSorted(), [
          'here',
          'messenger'
        ])

        for (const [method, path, body] of [
          ['GET', '/peers'],
          ['GET', '/account/sessions'],
          ['POST', '/account/password', { current: PASSWORD, password: 'another horse battery' }],
          ['POST', '/messenger/devices/code', {}],
          ['POST', '/messenger/recovery', {}],
          ['GET', '/messenger/admin/backups'],
          ['PUT', '/messenger/users/eve', { name: 'Eve' }]
        ] as const)
          assert.equal((await ask(method, path, body)).status, 403, path)

        isOver = true
        assert.equal((await ask('DELETE', '/session')).status, 204)
        assert.equal((await ask('GET', '/session')).status, 401)
        await until('the socket is closed', () => socket.readyState === WebSocket.CLOSED)
        assert.deepEqual(await carried(), before)
      })

      it('a session that ends at home is over here, and the mark of a browser is that of home', async () => {
        const { bob, desk } = school
        // as a browser, which has cookies
        const page = { 'content-type': 'application/json', origin: desk.gateway!.url! }
        const enter = (cookie = '') =>
          fetch(`${desk.gateway!.url}/api/v1/session`, {
            method: 'POST',
            headers: { ...page, cookie },
            body: JSON.stringify({ name: 'bob@computer', password: PASSWORD, inBrowser: true })
          })
        const first = await enter()
        assert.equal(first.status, 200)
        assert.equal(((await first.json()) as any).token, undefined)
        const cookie = first.headers
          .getSetCookie()
          .map(line => line.split(';')[0])
          .join('; ')
        assert.equal((await enter(cookie)).status, 200)
        // one that is no mark is none
        const { port } = new URL(desk.gateway!.url!)
        for (const mark of ['', 'x'.repeat(300)])
          assert.equal((await enter(`artel-device-${port}=${mark}`)).status, 200, mark)
        const status = () => fetch(`${desk.gateway!.url}/api/v1/messenger/status`, { headers: { cookie } })
        assert.equal((await status()).status, 200)
        for (const id of await carried()) await school.ask(bob, 'DELETE', `/sessions/${id}`)
        assert.equal((await status()).status, 401)
        assert.equal(
          (await fetch(`${desk.gateway!.url}/api/v1/session`, { headers: { cookie } })).status,
          401
        )

        // of who only listens it is heard as well
        const { token } = (await signIn(`bob@${bob.id}`)).body
        const url = `${desk.gateway!.url!.replace('http', 'ws')}/api/v1/events`
        const socket = new WebSocket(url, ['artel.v1', `bearer.${token}`])
        await once(socket, 'message')
        for (const id of await carried()) await school.ask(bob, 'DELETE', `/sessions/${id}`)
        await until('it is over here', async () => (await of(token)('GET', '/session')).status === 401)
        await until('the socket is closed', () => socket.readyState === WebSocket.CLOSED)
      })

      it('a password goes to no node but one of its person, and never where the account is here', async () => {
        const { bob, desk } = school
        // of Eve there is no device, and the desk is no device of Bob; who guesses learns nothing of that
        const [wrong, ...others] = await Promise.all([
          signIn(`bob@${bob.id}`, WRONG),
          ...[`eve@${bob.id}`, `bob@${desk.id}`, 'bob@nowhere'].map(name => signIn(name))
        ])
        assert.deepEqual([wrong.status, wrong.body.title], [401, 'SignInError'])
        for (const { body } of others) assert.deepEqual(body, wrong.body)
        const { body: home } = await school.ask(bob, 'POST', '/session', {
          name: `bob@${bob.id}`,
          password: PASSWORD
        })
        assert.deepEqual([home.account?.name, home.account?.role], ['Bob', 'admin'], 'at the home itself')
        const { body } = await school.ask(desk, 'POST', '/accounts', { name: 'bob@computer', role: 'pupil' })
        const own = 'a password of this desk'
        await school.ask(desk, 'POST', '/invitations/accept', { code: body.code, password: own })
        const { body: here } = await signIn('Bob@Computer', own)
        assert.equal(here.account.id, (await of(here.token)('GET', '/session')).body.account.id)
        assert.equal((await of(here.token)('GET', '/session')).body.home, undefined)
        assert.equal((await signIn('bob@computer')).body.title, 'SignInError')
      })

      it('a home that is away is named to who is signed in, and to nobody else', async () => {
        const { bob } = school
        const { body } = await signIn(`bob@${bob.id}`)
        const is = (state: string) => () =>
          bob.services.health().some(each => each.service === 'messenger' && each.state === state)
        await bob.configure({ 'messenger.enabled': false })
        await until('it is off', is('off'))
        const [away, none] = await Promise.all([signIn(`bob@${bob.id}`), signIn('bob@nowhere')])
        assert.deepEqual([away.status, away.body], [401, none.body])
        for (const answer of [
          await of(body.token)('GET', '/messenger/groups'),
          await of(body.token)('DELETE', '/session')
        ]) {
          assert.equal(answer.status, 503)
          assert.ok(answer.body.detail.includes(bob.id), answer.body.detail)
        }
        assert.equal((await of(body.token)('GET', '/session')).status, 401)
        await bob.configure({ 'messenger.enabled': true })
        await until('it runs again', is('running'))
      })
    })
  })
})
