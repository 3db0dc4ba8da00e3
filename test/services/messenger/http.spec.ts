import assert from 'node:assert/strict'
import { MAX_WRITES } from '../../../services/messenger/people/acting.ts'
import { openGateways } from './gateways.ts'
import { until } from './school.ts'

const PASSWORD = 'correct horse battery'

describe('messenger: over HTTP', function () {
  this.timeout(600_000)

  it('answers with the right status, to each what his scopes and his account allow, and so often', async () => {
    await using school = await openGateways({ isFounded: true })
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
    await ask(bob, 'POST', '/roles', { name: 'chatter', scopes: ['messenger:write'] })
    const signIn = async (name: string): Promise<string> => {
      const { body } = await ask(bob, 'POST', '/accounts', { name, role: 'chatter' })
      const accepted = await ask(bob, 'POST', '/invitations/accept', { code: body.code, password: PASSWORD })
      return accepted.body.token
    }
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
})
