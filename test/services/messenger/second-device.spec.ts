import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { signAs } from '../../../services/messenger/core/codec.ts'
import { cameInBy } from '../../../services/messenger/core/roster.ts'
import { consentFor, MAX_OWN_DEVICES, MAX_RECOVERIES } from '../../../services/messenger/core/statement.ts'
import { NoMajorityError } from '../../../services/messenger/errors.ts'
import { PAIRING_MS } from '../../../services/messenger/messages.ts'
import { createOperations } from '../../../services/messenger/operations.ts'
import { commitmentTo, digitsOf, readDeviceCode } from '../../../services/messenger/school/device-code.ts'
import { createPairing } from '../../../services/messenger/school/pairing.ts'
import { foundSchool, type Key, keyOf } from './devices.ts'
import { has, openSchool, say, textsOf, until, whenKnown } from './school.ts'

const POLICY = { name: 'PolicyError' }
const newNonce = (): Uint8Array => new Uint8Array(randomBytes(32))

/** What a device asks of another, as the other's node has it before it. */
type Answers = ReturnType<typeof createPairing>['answer']
type Line = (peer: string, request: any, comer: string) => ReturnType<typeof exchange>

/** An exchange of two that are joined by nothing but promises. */
function exchange(answer: Answers, request: any, comer: string) {
  const [first, second] = [Promise.withResolvers<any>(), Promise.withResolvers<any>()]
  const sent = Promise.withResolvers<{ nonce: Uint8Array; consent: Uint8Array }>()
  async function* received() {
    yield await sent.promise
  }
  const answered = answer(request, {
    peer: comer,
    signal: new AbortController().signal,
    send: async (given: any) => ('nonce' in given ? first : second).resolve(given),
    received: received()
  } as never)
  for (const item of [first, second]) answered.catch(item.reject)
  second.promise.catch(() => undefined)
  async function* items() {
    yield await first.promise
    yield await second.promise
    await answered
  }
  return {
    items: items(),
    answer: answered,
    send: async (given: any) => sent.resolve(given),
    end: async () => undefined
  }
}

/** Bob’s device in a school, another that wants to come in, and the line between them. */
async function openPair(
  between: (answer: Answers) => Line = answer => (_, request, comer) => exchange(answer, request, comer)
) {
  const school = await foundSchool()
  const { roster } = school
  const bob = await school.add('bob', 'pupil')
  const time = { ms: 1_000_000 }
  const changes = { count: 0 }
  const entered: string[] = []
  const part = (signer: Key['signer'], self: string, own: object, open: Line | undefined) =>
    createPairing({
      network: {
        self,
        open: (peer: string, _: string, request: unknown) => open?.(peer, request, self)
      } as never,
      school: own as never,
      signer,
      now: () => time.ms,
      signal: new AbortController().signal,
      changed: () => void changes.count++
    })
  const { peer } = roster.device(bob.id)!
  const old = part(
    bob.signer,
    peer,
    {
      roster,
      known: () => roster,
      state: async (kind: 'device', body: never) => void school.state(bob, kind, body)
    },
    undefined
  )
  const laptop = await keyOf('laptop')
  const fresh = part(
    laptop.signer,
    (await keyOf('node of laptop')).id,
    {
      checkNew: () => undefined,
      enter: async ({ user }: { user: string }) => void entered.push(user)
    },
    between(old.answer)
  )
  const join = (code: string) => fresh.join(code, 'laptop', async () => undefined)
  const digits = (): string => (fresh.wanted() as { digits: string }).digits
  return { ...school, bob, old, fresh, laptop, join, digits, time, changes, entered }
}
const othersThan = (digits: string): string => String((Number(digits) + 1) % 1_000_000).padStart(6, '0')

describe('messenger: a person’s other device', function () {
  this.timeout(600_000)

  it('is let in by the digits that it shows', async () => {
    const { old, join, digits, roster, laptop, changes, entered } = await openPair()
    await join(old.offer().code)
    assert.match(digits(), /^\d{6}$/)
    const [a, b] = [digits().slice(0, 3), digits().slice(3)]
    assert.equal((await old.confirm(`${a} ${b}`, new AbortController().signal)).id, laptop.id)
    await until('it has heard', () => changes.count === 1)
    assert.deepEqual(entered, ['bob'])
    assert.equal(roster.person(laptop.id)?.id, 'bob')
    assert.equal(roster.device(laptop.id)?.name, 'laptop')
  })

  it('is not let in by other digits, and then by no digits of that code', async () => {
    const { old, join, digits, roster, laptop, fresh, changes } = await openPair()
    const { signal } = new AbortController()
    await assert.rejects(old.confirm('123456', signal), POLICY, 'no code is shown')
    const { code } = old.offer()
    await assert.rejects(old.confirm('123456', signal), /no device has come/)
    await join(code)
    const right = digits()
    await assert.rejects(old.confirm(othersThan(right), signal), /not the digits/)
    await assert.rejects(old.confirm(right, signal), /no such code any more/)
    await until('it is told', () => changes.count === 1)
    assert.match((fresh.wanted() as { failed: string }).failed, /not the digits/)
    await assert.rejects(join(code), { name: 'SchoolError', message: /no such code any more/ })
    assert.equal(roster.device(laptop.id), undefined)
    // with a new one it is
    await join(old.offer().code)
    await old.confirm(digits(), signal)
    assert.equal(roster.person(laptop.id)?.id, 'bob')
  })

  it('is too late after five minutes, and second where another has come with the code', async () => {
    const { old, join, digits, time, roster, laptop } = await openPair()
    const { signal } = new AbortController()
    const { code } = old.offer()
    await join(code)
    await assert.rejects(join(code), /came with this code already/)
    await join(old.offer().code)
    const shown = digits()
    time.ms += PAIRING_MS
    await assert.rejects(old.confirm(shown, signal), /no such code any more/)
    await assert.rejects(join(old.offer().code.slice(0, -12)), { name: 'MalformedMessageError' })
    const late = old.offer().code
    time.ms += PAIRING_MS
    await assert.rejects(join(late), /no such code any more/)
    assert.equal(roster.device(laptop.id), undefined)
  })

  it('has other digits than the old one sees where somebody stands between, who cannot choose them', async () => {
    const mallory = await keyOf('mallory')
    const seen: { atOld?: string; atNew?: string } = {}
    const { old, join, digits, roster, laptop, fresh } = await openPair(answer => (_, request) => {
      // to Bob’s device he is the new one, to the new one Bob’s device
      const nonce = newNonce()
      const peer = 'node of mallory, as noise has it, which is no key that anybody else has'
      const toOld = exchange(
        answer,
        { ...request, device: mallory.id, commitment: commitmentTo(nonce) },
        peer
      )
      return exchange(
        async (_, { send, received }) => {
          const { value } = await toOld.items.next()
          // what Bob’s device threw in goes on, as nothing else would give the same
          await send(value!)
          for await (const { nonce: theirs } of received) {
            const { secret: _, ...code } = readDeviceCode(seen.atNew!)
            const ends = { ...code, device: mallory.id, devicePeer: peer }
            seen.atOld = digitsOf({ ...ends, nonces: [value!.nonce, nonce] })
            const consent = signAs(
              mallory.signer,
              'consent',
              consentFor(code.school, code.user, mallory.id, peer, code.by)
            ).signature
            await toOld.send({ nonce, consent })
            await send((await toOld.items.next()).value)
            assert.notDeepEqual(theirs, nonce)
          }
          return toOld.answer
        },
        request,
        'anybody'
      )
    })
    const { code } = old.offer()
    seen.atNew = code
    await join(code)
    assert.notEqual(digits(), seen.atOld)
    await assert.rejects(old.confirm(digits(), new AbortController().signal), /not the digits/)
    assert.deepEqual([roster.device(laptop.id), roster.device(mallory.id)], [undefined, undefined])
    await until('the new one is told', () => fresh.wanted() != null && 'failed' in fresh.wanted()!)
  })

  it('cannot throw in something else than it said before', async () => {
    const { old, roster } = await openPair()
    const { secret } = readDeviceCode(old.offer().code)
    const eve = await keyOf('eve')
    const { items, send, answer } = exchange(
      old.answer,
      { secret, device: eve.id, name: 'eve', commitment: commitmentTo(newNonce()) },
      eve.id
    )
    await items.next()
    await send({ nonce: newNonce(), consent: new Uint8Array(64) })
    await assert.rejects(answer, { name: 'MalformedMessageError' })
    await assert.rejects(old.confirm('000000', new AbortController().signal), POLICY)
    assert.equal(roster.device(eve.id), undefined)
  })

  it('is of who has agreed, let in by a device of the same person that counts, once, and not without end', async () => {
    const { roster, add, state, sign } = await foundSchool()
    const [bob, eve] = [await add('bob', 'pupil'), await add('eve', 'pupil')]
    async function offered(name: string, by: Key, fields: { user?: string; signer?: Key } = {}) {
      const key = await keyOf(name)
      const peer = (await keyOf(`node of ${name}`)).id
      const user = fields.user ?? 'bob'
      const agreed = consentFor(roster.school, user, key.id, peer, by.id)
      const vouch = signAs((fields.signer ?? key).signer, 'consent', agreed).signature
      return { user, device: key.id, peer, name, vouch }
    }
    const refused = async (by: Key, body: Awaited<ReturnType<typeof offered>>): Promise<void> =>
      void assert.throws(() => roster.append(sign(by, 'device', body)), POLICY)
    await refused(eve, await offered('laptop', eve))
    await refused(eve, await offered('laptop', bob))
    await refused(bob, await offered('laptop', bob, { signer: bob }))
    const first = await offered('laptop', bob)
    await refused(bob, { ...first, peer: eve.id })
    state(bob, 'device', first)
    assert.deepEqual(
      roster.devicesOf('bob').map(({ name, vouchedBy }) => [name, vouchedBy]),
      [
        ['bob', undefined],
        ['laptop', bob.id]
      ]
    )
    state(bob, 'revoke', { device: first.device })
    await refused(bob, first)
    for (let i = 1; i < MAX_OWN_DEVICES; i++) state(bob, 'device', await offered(`device ${i}`, bob))
    await refused(bob, await offered('one more', bob))
    state(bob, 'revoke', { device: bob.id })
    await refused(bob, await offered('too late', bob))
  })

  it('is found by what let it in, through others and recovery codes, and not through the own one', async () => {
    const { roster, add, state, deviceOf } = await foundSchool()
    const bob = await add('bob', 'pupil')
    async function letIn(name: string, by: Key): Promise<Key> {
      const { key, body, invite } = await deviceOf('bob', name)
      state(by, 'recovery', { key: invite.id })
      state(key, 'device', body)
      return key
    }
    const thief = await letIn('of the thief', bob)
    const [behind, own] = [await letIn('behind it', thief), await letIn('own', bob)]
    const beside = await letIn('beside', own)
    const found = (by: Key, self: Key) => new Set(cameInBy(roster, by.id, self.id))
    const ids = (...keys: Key[]) => new Set(keys.map(({ id }) => id))
    assert.deepEqual(found(bob, own), ids(thief, behind))
    assert.deepEqual(found(own, bob), ids(beside))
    assert.deepEqual(found(beside, bob), ids())
    state(own, 'revoke', { device: bob.id })
    state(own, 'revoke', { device: thief.id })
    assert.deepEqual(found(bob, own), ids(behind))
  })

  it('goes with all that came in by it but what is refused, which is told of each', async () => {
    const { roster, add, state, deviceOf, admin } = await foundSchool()
    const bob = await add('bob', 'pupil')
    const letIn: string[] = []
    for (const name of ['one', 'two', 'three']) {
      const { key, body, invite } = await deviceOf('bob', name)
      state(bob, 'recovery', { key: invite.id })
      state(key, 'device', body)
      letIn.push(key.id)
    }
    let isAway = false
    const school = {
      known: () => roster,
      async state(_: 'revoke', body: { device: string }) {
        if (isAway || body.device === letIn[0]) throw new NoMajorityError('1 of 3 mailboxes answers')
        state(admin, 'revoke', body)
      }
    }
    const { revoke } = createOperations(
      { school, self: admin.id } as never,
      undefined as never,
      undefined as never,
      async () => undefined
    )
    const all = () => revoke({ device: bob.id, all: true }, { signal: undefined } as never)
    assert.deepEqual(await all(), {
      revoked: [bob.id, ...letIn.slice(1)],
      refused: [{ device: letIn[0], reason: '1 of 3 mailboxes answers' }]
    })
    isAway = true
    await assert.rejects(async () => all(), { name: 'NoMajorityError' })
  })

  it('comes in by a recovery code as by one of its person: once, by the newest, while the device counts that made it', async () => {
    const { roster, add, state, sign, admin, deviceOf } = await foundSchool()
    const [bob, eve] = [await add('bob', 'pupil'), await add('eve', 'pupil')]
    const [older, phone, tablet] = [
      await deviceOf('bob', 'older'),
      await deviceOf('bob', 'phone'),
      await deviceOf('bob', 'tablet')
    ]
    type Comer = typeof phone
    const refused = ({ key, body }: Comer, by = key): void =>
      void assert.throws(() => roster.append(sign(by, 'device', body)), POLICY)
    const make = (by: Key, { invite }: Comer) => state(by, 'recovery', { key: invite.id })
    make(eve, phone)
    refused(phone)
    make(bob, older)
    make(bob, phone)
    assert.deepEqual(roster.openKeys('bob'), [phone.invite.id])
    refused(older)
    refused({ ...phone, body: { ...phone.body, user: 'eve' } })
    state(phone.key, 'device', phone.body)
    assert.equal(roster.device(phone.key.id)?.vouchedBy, bob.id)
    assert.equal(roster.recovery('bob'), undefined)
    refused({ ...tablet, body: { ...tablet.body, vouch: phone.body.vouch } })
    // what was made on a device that is let go of is void with it, and an invitation still lets one in
    make(bob, tablet)
    assert.equal(roster.recovery('bob')?.by, bob.id)
    state(phone.key, 'revoke', { device: bob.id })
    assert.equal(roster.recovery('bob'), undefined)
    refused(tablet)
    state(admin, 'users', { users: [{ ...roster.user('bob')!, invite: tablet.invite.id }] })
    state(tablet.key, 'device', tablet.body)
    assert.equal(roster.device(tablet.key.id)?.vouchedBy, undefined)
    for (let i = 0; i < MAX_RECOVERIES; i++) make(admin, older)
    assert.throws(() => make(admin, older), POLICY)
  })

  it('has all that its person had, and others see it; what an admin lets in beside it has what follows', async () => {
    await using school = await openSchool()
    const ann = await school.join('ann', 'teacher')
    const bob = await school.join('bob', 'pupil')
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['bob'] })
    await until('bob is in the chat', () => has(bob, group))
    await ann.call('send', { group, text: 'before' })
    await until('bob has it', async () => (await textsOf(bob, group)).length === 1)

    const laptop = await school.node()
    await laptop.call('join', { code: (await bob.call('addDevice')).code, device: 'laptop' })
    const { pairing } = await laptop.call('status')
    assert.equal((await bob.call('confirmDevice', { digits: pairing.digits })).name, 'laptop')
    await until('the laptop is in the school', async () => (await laptop.call('status')).me?.id === 'bob')
    await until('it is in the chat', () => has(laptop, group))
    await until('it has what was said before', async () => (await textsOf(laptop, group)).length === 1)
    await say(laptop, group, 'from the laptop')
    for (const node of [ann, bob])
      await until('the others read it', async () => (await textsOf(node, group)).includes('from the laptop'))
    const told = async (): Promise<unknown[]> =>
      (await ann.call('messages', { group })).items.flatMap((each: any) => each.devices ?? [])
    assert.deepEqual(await told(), [{ of: 'bob', name: 'laptop' }])

    const recovery = await laptop.call('makeRecovery')
    assert.equal((await laptop.call('status')).recovery.device, 'laptop')
    const { code } = await school.desk.call('invite', { user: 'bob' })
    const third = await school.node()
    await third.call('join', { code, device: 'of the admin' })
    await until('it is in the chat', () => has(third, group))
    await say(ann, group, 'after')
    await until('it has what follows', async () => (await textsOf(third, group)).includes('after'))
    await until('the others have it, too', async () => (await textsOf(laptop, group)).includes('after'))
    assert.deepEqual(await textsOf(third, group), ['after'])
    assert.deepEqual(await textsOf(laptop, group), ['before', 'from the laptop', 'after'])
    assert.deepEqual(await told(), [
      { of: 'bob', name: 'of the admin' },
      { of: 'bob', name: 'laptop' }
    ])

    const idOf = async (node: typeof bob): Promise<string> => (await node.call('status')).device
    const ids = [await idOf(bob), await idOf(laptop)]
    const invited = await idOf(third)
    // all is lost but the code
    for (const lost of [bob, laptop, third]) await lost[Symbol.asyncDispose]()
    const found = await school.node()
    await found.call('join', { code: recovery.code, device: 'found' })
    await until('it is in the chat', () => has(found, group))
    await until('it has all of it', async () => (await textsOf(found, group)).length === 3)
    assert.deepEqual(await textsOf(found, group), ['before', 'from the laptop', 'after'])
    const again = await school.node()
    await assert.rejects(again.call('join', { code: recovery.code }), { name: 'SchoolError' })

    // whoever has bob's first computer has let in the laptop, and that by its code the one that was found
    ids.push(await idOf(found))
    const counting = async (): Promise<string[]> =>
      (await school.desk.call('users')).items
        .find((each: any) => each.id === 'bob')
        .devices.map(({ id }: any) => id)
    await until('the desk knows it', async () => (await counting()).includes(ids[2]!))
    const revoke = () => school.desk.call('revoke', { device: ids[0], all: true })
    assert.deepEqual((await revoke()).revoked, ids)
    assert.deepEqual(await counting(), [invited])
    assert.deepEqual(await revoke(), { revoked: [], refused: [] })
    // nothing done is no success: there is no such device, or it would count again with its person
    const none = { device: '1'.repeat(52), all: true }
    await assert.rejects(school.desk.call('revoke', none), { name: 'PolicyError' })
    const disabled = { user: 'bob', name: 'Bob', role: 'pupil', isDisabled: true }
    await school.desk.call('addUser', disabled)
    await assert.rejects(school.desk.call('revoke', { device: invited, all: true }), { name: 'PolicyError' })
  })
})
