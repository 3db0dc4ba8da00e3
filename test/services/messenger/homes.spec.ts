import assert from 'node:assert/strict'
import { networkId } from '../../../bootstrap/index.ts'
import { serviceProtocol } from '../../../services/host/names.ts'
import { askPeer } from '../../../services/host/peer-streams.ts'
import { fromParts, inParts } from '../../../services/messenger/home/parts.ts'
import { messages } from '../../../services/messenger/messages.ts'
import { openGateways } from './gateways.ts'
import { until } from './school.ts'

const PASSWORD = 'correct horse battery'
const WRONG = 'wrong horse battery'
const MAX_BYTES = 10_000_000

describe('messenger: homes of accounts', function () {
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
      const { status } = await ask(bob, 'POST', '/invitations/accept', {
        code: body.code,
        password: PASSWORD
      })
      assert.equal(status, 200)
    }
  })
  after(() => school?.[Symbol.asyncDispose]())

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
  })
})
