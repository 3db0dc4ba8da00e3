import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ArtelNode } from '../../../node/index.ts'
import { openGateways } from './gateways.ts'
import { contains, until } from './school.ts'

const PASSWORD = 'correct horse battery'
const NEW_PASSWORD = 'staple battery horse'
const SAID = 'canary-of-a-chat'
const TITLE = 'canary-of-a-title'
const FILE = 'canary-of-a-file'
const LIST = 'login;name;role\nann;Ann;pupil\nkim;Kim;teacher\nleo;Leo;pupil\n'

describe('messenger: people without a computer, whose home a node is', function () {
  this.timeout(600_000)
  type Ask = ReturnType<typeof of>
  let school: Awaited<ReturnType<typeof openGateways>>
  let desk: ArtelNode
  let ann: Ask
  let kim: Ask
  let chat = ''
  let code = ''
  /** by login */
  let cards: Record<string, { password: string; address?: string }> = {}

  before(async () => {
    school = await openGateways({
      isFounded: true,
      ofDesk: { 'messenger.hosted': 2, 'messenger.home': true },
      ofBob: { 'messenger.hosted': 1 }
    })
    desk = school.desk
  })
  after(() => school?.[Symbol.asyncDispose]())

  const of = (token: string, node?: ArtelNode) =>
    Object.assign(
      (method: string, path: string, body?: object) => school.ask(node ?? desk, method, path, body, token),
      { token }
    )
  async function signIn(name: string, password = PASSWORD): Promise<ReturnType<typeof of>> {
    const { status, body } = await school.ask(desk, 'POST', '/session', { name, password }, '')
    assert.equal(status, 200, JSON.stringify(body))
    return of(body.token)
  }
  const accept = (init: { code: string; name?: string; password: string }) =>
    school.ask(desk, 'POST', '/invitations/accept', init, '')
  async function accepted(init: { code: string; name?: string; password: string }) {
    const { status, body } = await accept(init)
    assert.equal(status, 200, JSON.stringify(body))
    return of(body.token)
  }
  /** With the card. */
  const begin = (name: string): Promise<ReturnType<typeof of>> =>
    accepted({ name, code: cards[name]!.password, password: PASSWORD })
  async function reset(name: string, password: string): Promise<ReturnType<typeof of>> {
    const { body } = await school.ask(desk, 'GET', '/accounts')
    const { id } = body.items.find((each: any) => each.name === name.toLowerCase())
    return accepted({ code: (await school.ask(desk, 'POST', `/accounts/${id}/reset`)).body.code, password })
  }
  const isIn = (ask: Ask, user: string): Promise<void> =>
    until(
      `${user} is in the school`,
      async () => (await ask('GET', '/messenger/status')).body.me?.id === user
    )
  const textsOf = async (ask: Ask): Promise<string[]> => {
    const { body } = await ask('GET', `/messenger/groups/${chat}/events`)
    return (body.items ?? []).flatMap(({ text }: any) => text ?? [])
  }
  const reads = (ask: Ask, text: string): Promise<void> =>
    until(`${text} is read`, async () => (await textsOf(ask)).includes(text))
  async function says(ask: Ask, text: string): Promise<void> {
    await until(`${text} is said`, async () => {
      const { status } = await ask('POST', `/messenger/groups/${chat}/events`, { text })
      return status === 201
    })
  }

  it('an admin makes as many as the owner of a mailbox lets him', async () => {
    const { call, bob } = school
    const csv = Buffer.from(LIST).toString('base64')
    await assert.rejects(call(desk, 'importUsers', { csv, apply: true, hosted: true }), {
      name: 'PolicyError',
      message: /messenger\.hosted/
    })
    await assert.rejects(call(bob, 'hostUser', { user: 'bob' }), { name: 'PolicyError' })
    const two = Buffer.from(LIST.replace(/leo.*\n/, '')).toString('base64')
    const address = 'https://chat.school7.example/'
    const made = await call(desk, 'importUsers', { csv: two, apply: true, hosted: true, address })
    assert.deepEqual(made.invitations, [], 'nobody has to carry a code anywhere')
    cards = Object.fromEntries(made.cards.map((each: any) => [each.user, each]))
    assert.deepEqual(Object.keys(cards), ['ann', 'kim'])
    assert.equal(cards.ann!.address, address)
    const again = await call(desk, 'importUsers', { csv: two, apply: true, hosted: true })
    assert.deepEqual(again.cards, [])
    const { items } = await call(desk, 'hosted')
    assert.deepEqual(
      items.map(({ user }: any) => user),
      ['ann', 'kim']
    )
  })

  it('a first password lets its person choose his own, once, and nobody else', async () => {
    const { call } = school
    const old = cards.ann!
    const { card } = await call(desk, 'hostUser', { user: 'ann' })
    cards.ann = card
    assert.equal((await accept({ name: 'ann', code: old.password, password: PASSWORD })).status, 404)
    assert.equal((await accept({ name: 'kim', code: card.password, password: PASSWORD })).status, 404)
    const signIn = { name: 'Ann', password: card.password.toUpperCase().replaceAll('-', ' ') }
    const asked = await school.ask(desk, 'POST', '/session', signIn, '')
    assert.deepEqual([asked.status, asked.body.title], [401, 'FirstPasswordError'])
    ann = await begin('ann')
    assert.equal((await accept({ name: 'ann', code: card.password, password: NEW_PASSWORD })).status, 404)
    const used = await school.ask(desk, 'POST', '/session', signIn, '')
    assert.deepEqual([used.status, used.body.title], [401, 'SignInError'])
  })

  it('they chat with each other and with who has a computer, and hear of their own chats only', async () => {
    const { bob, call } = school
    kim = await begin('kim')
    await isIn(ann, 'ann')
    await isIn(kim, 'kim')
    assert.equal((await ann('GET', '/messenger/status')).body.home, 'open')
    const devices = (await call(desk, 'users')).items.flatMap((each: any) => each.devices)
    assert.equal(devices.filter(({ peer }: any) => peer === desk.id).length, 3)
    await until('the chat is begun', async () => {
      const { status, body } = await kim('POST', '/messenger/groups', { users: ['ann', 'bob'], title: TITLE })
      if (status === 201) chat = body.id
      return status === 201
    })
    const heard: { type: string; value?: any }[] = []
    const url = `${desk.gateway!.url!.replace('http', 'ws')}/api/v1/events`
    const socket = new WebSocket(url, ['artel.v1', `bearer.${ann.token}`])
    socket.addEventListener('message', ({ data }) => heard.push(JSON.parse(data)))
    await until('ann listens', () => heard.length > 0)
    const { id: ofOthers } = await call(desk, 'createGroup', { users: ['bob'] })
    await call(desk, 'send', { group: ofOthers, text: 'not for Ann' })
    await says(kim, SAID)
    await reads(ann, SAID)
    const chats = (): string[] =>
      heard.flatMap(({ type, value }) => (type === 'messenger:chat' ? value.chat : []))
    await until('ann hears of it', () => chats().includes(chat))
    assert.ok(!chats().includes(ofOthers))
    socket.close()
    await says(ann, `${SAID} of Ann`)
    await until('bob reads both', async () =>
      ((await call(bob, 'messages', { group: chat }).catch(() => ({ items: [] }))).items as any[]).some(
        ({ text }) => text === `${SAID} of Ann`
      )
    )
    const bytes = Buffer.from(FILE.repeat(100)).toString('base64')
    assert.equal((await ann('POST', `/messenger/groups/${chat}/files`, { name: FILE, bytes })).status, 201)
    const found = (await ann('GET', `/messenger/search?text=${SAID}`)).body.items
    assert.equal(found.length, 2)
    // nobody else at this node has any of it
    assert.equal((await school.ask(desk, 'GET', `/messenger/groups/${chat}/events`)).status, 404)
    assert.equal((await kim('GET', '/messenger/users')).status, 200)
    const made = await ann('POST', '/messenger/recovery')
    assert.equal(made.status, 201, JSON.stringify(made.body))
    code = made.body.code
  })

  it('who has the disk of the home reads nothing, also while they are signed in', async () => {
    const { folder, bob, call } = school
    assert.ok(await contains(join(folder, 'bob'), [SAID]), 'a node of its own keeps what its person reads')
    const looked = () =>
      contains(join(folder, 'desk'), [SAID, TITLE, FILE, Buffer.from(FILE).toString('base64')])
    assert.equal(await looked(), false)
    for (const ask of [ann, kim]) {
      assert.equal((await ask('DELETE', '/session')).status, 204)
      assert.equal((await ask('GET', '/messenger/groups')).status, 401)
    }
    assert.equal(await looked(), false)
    await call(bob, 'send', { group: chat, text: 'while nobody was here' })
    ann = await signIn('Ann')
    await reads(ann, 'while nobody was here')
  })

  it('a second home is let in by the first and has the same chats, also while the first is off', async () => {
    const { bob, call } = school
    await call(desk, 'setMailboxes', { peers: [desk.id, bob.id] })
    await until('bob’s node is a mailbox', async () => (await call(bob, 'status')).isMailbox)
    const { card } = await call(bob, 'hostUser', { user: 'ann', second: true })
    const { body } = await school.ask(bob, 'POST', '/invitations/accept', {
      name: 'ann',
      code: card.password,
      password: PASSWORD
    })
    const there: Ask = of(body.token, bob)
    assert.equal((await there('GET', '/messenger/status')).body.me, undefined)
    const { code: ofBob } = await call(bob, 'addDevice')
    assert.equal((await there('POST', '/messenger/home/join', { code: ofBob })).status, 403)
    const { code: shown } = (await ann('POST', '/messenger/devices/code')).body
    assert.equal((await there('POST', '/messenger/home/join', { code: shown })).status, 200)
    const { digits } = (await there('GET', '/messenger/status')).body.pairing
    assert.equal((await ann('POST', '/messenger/devices', { digits })).status, 201)
    await isIn(there, 'ann')
    await reads(there, SAID)
    assert.equal(await contains(join(school.folder, 'bob', 'services', 'messenger', 'people'), [SAID]), false)
    await desk.stop()
    await says(there, 'the first home is off')
    desk = await school.deskAgain()
    ann = await signIn('Ann')
    await reads(ann, 'the first home is off')
  })

  it('after a start of the node nobody is open until he signs in again', async () => {
    await desk.stop()
    desk = await school.deskAgain()
    assert.equal((await ann('GET', '/messenger/groups')).status, 401)
    ann = await signIn('Ann')
    await reads(ann, SAID)
    await until('words are found again', async () => {
      const { body } = await ann('GET', `/messenger/search?text=${SAID}`)
      return body.items.length === 2
    })
  })

  it('hears what is in the way where his key is damaged on the disk, and goes on when it is put back', async () => {
    const people = join(school.folder, 'desk', 'services', 'messenger', 'people')
    const keys = (await readdir(people)).map(each => join(people, each, 'keys'))
    const kept = await Promise.all(keys.map(file => readFile(file)))
    await Promise.all(keys.map(file => writeFile(file, 'damaged')))
    const asked = await (await signIn('Kim'))('GET', '/messenger/groups')
    assert.equal(asked.status, 423)
    assert.match(asked.body.detail, /cannot be read.*backup/)
    await Promise.all(keys.map((file, i) => writeFile(file, kept[i]!)))
    await reads(await signIn('Kim'), SAID)
  })

  it('another password opens it; one that somebody else gave does not, but the recovery code does', async () => {
    const changed = await ann('POST', '/account/password', { current: PASSWORD, password: NEW_PASSWORD })
    assert.equal(changed.status, 204, JSON.stringify(changed.body))
    await reads(await signIn('Ann', NEW_PASSWORD), SAID)

    const given = await reset('Ann', PASSWORD)
    const { body: status } = await given('GET', '/messenger/status')
    assert.deepEqual([status.home, status.isYours], ['locked', false])
    assert.equal((await given('GET', '/messenger/groups')).status, 423)
    assert.equal((await given('GET', `/messenger/search?text=${SAID}`)).status, 423)
    const { code: other } = await school.call(desk, 'makeRecovery')
    assert.equal((await given('POST', '/messenger/home/open', { code: other })).status, 403)
    assert.equal((await given('POST', '/messenger/home/open', { code })).status, 200)
    await reads(given, SAID)
  })

  it('without the code a person begins anew where an admin lets him, without what he had', async () => {
    const { call } = school
    ann = await reset('Ann', NEW_PASSWORD)
    assert.equal((await ann('POST', '/messenger/home/anew')).status, 403)
    await call(desk, 'hostUser', { user: 'ann' })
    assert.equal((await ann('POST', '/messenger/home/anew')).status, 200)
    await isIn(ann, 'ann')
    kim = await signIn('Kim')
    await until('ann is in the chat', async () =>
      (await ann('GET', '/messenger/groups')).body.items.some((each: any) => each.id === chat && each.isIn)
    )
    await says(kim, 'hello again')
    await reads(ann, 'hello again')
    assert.ok(!(await textsOf(ann)).includes(SAID))
    assert.equal((await ann('POST', '/messenger/home/open', { code })).status, 403)
    assert.equal((await call(desk, 'unhostUser', { user: 'ann' })).items, undefined)
    assert.equal((await ann('GET', '/messenger/groups')).status, 403)
  })
})
