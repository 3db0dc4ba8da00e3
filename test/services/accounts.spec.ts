import { strict as assert } from 'node:assert'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TOTP } from 'otpauth'
import {
  type Accounts,
  createAccounts,
  createEndings,
  createPasswords,
  type Endings
} from '../../services/gateway/accounts/index.ts'

const PASSWORD = 'correct horse battery'
const DAY_MS = 86_400_000
const FROM = { address: '192.0.2.1', agent: 'test' }

describe('accounts', () => {
  let folder: string
  let file: string
  let accounts: Accounts
  let endings: Endings
  let now: number
  let hashes: number
  let cost: Parameters<typeof createPasswords>[0]
  const failed: [address: string, account: string | undefined][] = []

  const open = () => {
    endings = createEndings()
    const cheap = createPasswords(cost)
    accounts = createAccounts({ file, scopes: ['read', 'submit', 'credits', 'admin'], issuer: 'Artel' })({
      lockers: () => undefined,
      failed: (address, account) => void failed.push([address, account]),
      passwords: {
        ...cheap,
        verify: (...args) => {
          hashes++
          return cheap.verify(...args)
        }
      },
      endings,
      now: () => now
    })
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-accounts-'))
    file = join(folder, 'accounts.sqlite')
    now = Date.UTC(2026, 8, 1, 8)
    hashes = 0
    failed.length = 0
    cost = { memoryKiB: 64, passes: 1, lanes: 1 }
    open()
  })
  afterEach(async () => {
    accounts.close()
    await rm(folder, { recursive: true })
  })

  const join_ = async (name: string, role = 'pupil') => {
    const { code } = accounts.create({ name, role })
    return accounts.accept({ code, password: PASSWORD }, FROM)
  }
  const signIn = (
    init: { name?: string; password?: string; code?: string; device?: string } = {},
    from = FROM
  ) => accounts.signIn({ name: 'anna', password: PASSWORD, ...init }, from)

  it('a first password is good once and for a month, for who has none, and makes nobody more than he was', async () => {
    const role = { name: 'messenger', scopes: ['read'] }
    const give = (name: string) => accounts.giveFirstPassword(name, role)
    const { code: old } = give('Ann')!
    const { code: first, expires } = give('ann')!
    assert.equal(expires, now + 30 * DAY_MS)
    const choose = (code: string, name = 'ann') => accounts.accept({ name, code, password: PASSWORD }, FROM)
    for (const [code, name] of [[old], [first, 'bob'], [`${first}0`]] as const)
      await assert.rejects(choose(code, name), { name: 'NotFoundError' })
    const typed = first.toUpperCase().replaceAll('-', ' ').replaceAll('0', 'O').replaceAll('1', 'l')
    await assert.rejects(signIn({ name: 'Ann', password: old }), { name: 'SignInError' })
    await assert.rejects(signIn({ name: 'Ann', password: typed }), { name: 'FirstPasswordError' })
    assert.deepEqual(accounts.sessions(), [])
    now += 30 * DAY_MS
    await assert.rejects(choose(first), { name: 'NotFoundError' })
    const { code } = give('ann')!
    const { account } = await choose(code)
    assert.equal(account.role, 'messenger')
    await assert.rejects(choose(code), { name: 'NotFoundError' })
    await assert.rejects(signIn({ name: 'ann', password: code }), { name: 'SignInError' })
    await signIn({ name: 'ann' })
    assert.equal(give('ann'), undefined, 'he has a password')
    accounts.create({ name: 'Root', role: 'admin' })
    assert.equal(give('root'), undefined, 'nobody makes himself an admin by it')
    const { code: gone } = give('leo')!
    accounts.change('leo', { isDisabled: true })
    await assert.rejects(signIn({ name: 'leo', password: gone }), { name: 'SignInError' })
    assert.throws(() => accounts.giveFirstPassword('max', { name: 'x', scopes: ['everything'] }), {
      name: 'RequestError'
    })
  })

  it('has nobody until somebody is invited, and keeps its file to its owner', async () => {
    assert.deepEqual(accounts.list(), [])
    await assert.rejects(signIn(), { name: 'SignInError' })
    await join_('Anna')
    for (const suffix of ['', '-wal', '-shm'])
      assert.equal((await stat(`${file}${suffix}`)).mode & 0o777, 0o600, suffix)
    accounts.close()
    const bytes = await readFile(file)
    assert.ok(!bytes.includes(PASSWORD))
    open()
    assert.equal((await signIn()).account.name, 'Anna')
  })

  it('gives the grant of the role, until the role or its scopes change', async () => {
    const { token, session, account } = await join_('anna', 'teacher')
    assert.deepEqual(accounts.find(token)?.scopes, ['read', 'submit'])
    assert.equal(accounts.find(token)?.account.name, 'anna')
    assert.equal(accounts.find(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`), undefined)
    const ended = endings.signal(session.id)
    accounts.setRole({ name: 'teacher', scopes: ['read'] })
    assert.equal(ended.aborted, true)
    assert.equal(accounts.find(token), undefined)
    const again = await signIn()
    assert.deepEqual(accounts.find(again.token)?.scopes, ['read'])
    accounts.change(account.id, { role: 'pupil' })
    assert.equal(accounts.find(again.token), undefined)
    assert.deepEqual(accounts.find((await signIn()).token)?.scopes, [])
    for (const role of [
      { name: 'admin', scopes: [] },
      { name: 'Big Boss', scopes: [] },
      { name: 'boss', scopes: ['everything'] }
    ])
      assert.throws(() => accounts.setRole(role), { name: 'RequestError' })
    assert.throws(() => accounts.removeRole('pupil'), { name: 'ConflictError' })
    accounts.removeRole('teacher')
    assert.throws(() => accounts.invite({ role: 'teacher' }), { name: 'RequestError' })
  })

  it('ends a session that is idle, old, revoked, or whose person is disabled, reset or gone', async () => {
    const { account } = await join_('anna')
    const ends: ((token: string, id: string) => unknown)[] = [
      () => {
        now += DAY_MS / 2
      },
      (_, id) => accounts.endSession(id),
      () => accounts.endSessions('anna'),
      () => accounts.change(account.id, { isDisabled: true }),
      () => accounts.change(account.id, { isDisabled: false })
    ]
    for (const end of ends) {
      if (accounts.list()[0]!.isDisabled) {
        await assert.rejects(signIn(), { name: 'SignInError' })
        accounts.change(account.id, { isDisabled: false })
      }
      const { token, session } = await signIn()
      assert.ok(accounts.find(token))
      end(token, session.id)
      assert.equal(accounts.find(token), undefined)
      assert.equal(accounts.holds(session.id), false)
    }
    const busy = await signIn()
    for (let day = 0; day < 29; day++)
      for (let hour = 0; hour < 24; hour += 8) {
        now += 8 * 3_600_000
        assert.ok(accounts.find(busy.token))
      }
    now += DAY_MS
    assert.equal(accounts.find(busy.token), undefined)
    const last = await signIn()
    const ended = endings.signal(last.session.id)
    accounts.remove('anna')
    assert.equal(ended.aborted, true)
    assert.equal(accounts.find(last.token), undefined)
    assert.deepEqual(accounts.sessions(), [])
  })

  it('says the same for an unknown name, a wrong password and a disabled person, after the same work', async () => {
    await join_('anna')
    accounts.create({ name: 'new', role: 'pupil' })
    await join_('gone')
    accounts.change('gone', { isDisabled: true })
    const messages = new Set<string>()
    for (const [name, password] of [
      ['nobody', PASSWORD],
      ['anna', 'wrong'],
      ['gone', PASSWORD],
      ['new', ''],
      ['', '']
    ] as const) {
      const before = hashes
      await assert.rejects(signIn({ name, password }), (error: Error) => {
        assert.equal(error.name, 'SignInError')
        messages.add(error.message)
        return true
      })
      assert.equal(hashes, before + 1)
    }
    assert.equal(messages.size, 1)
    assert.deepEqual(
      failed.splice(0).map(([, account]) => account),
      [undefined, 'anna', 'gone', 'new', undefined],
      'its owner is told which of them there are'
    )
    await signIn()
    assert.deepEqual(failed, [])
  })

  it('a change of password that is under way undoes no reset by the owner', async () => {
    const { token } = await join_('anna')
    const changing = accounts.changePassword(accounts.find(token)!, {
      current: PASSWORD,
      password: 'staple battery horse'
    })
    accounts.reset('anna')
    await assert.rejects(changing, { name: 'SignInError' })
    for (const password of [PASSWORD, 'staple battery horse'])
      await assert.rejects(signIn({ password }), { name: 'SignInError' })
  })

  it('names administrators with nothing but a password, and counts hashes of an older method', async () => {
    const { token } = await join_('boss', 'admin')
    await join_('anna')
    accounts.create({ name: 'new', role: 'admin' })
    assert.deepEqual(accounts.standing(), { count: 3, adminsByPassword: ['boss'], outdated: 0 })
    const grant = accounts.find(token)!
    const { secret } = accounts.enrolSecondFactor(grant)
    accounts.confirmSecondFactor(grant, new TOTP({ secret }).generate({ timestamp: now }))
    accounts.change('anna', { isDisabled: true })
    assert.deepEqual(accounts.standing(), { count: 2, adminsByPassword: [], outdated: 0 })
    accounts.close()
    cost = { memoryKiB: 128, passes: 1, lanes: 1 }
    open()
    assert.equal(accounts.standing().outdated, 1)
  })

  it('computes little for a thousand wrong passwords at once, and honest people still get in', async () => {
    const { token, device } = await join_('anna')
    const failed = await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        signIn({ password: `guess ${i}` }).then(
          () => assert.fail('a guess was right'),
          (error: Error) => error
        )
      )
    )
    assert.ok(hashes <= 10, `${hashes} hashes`)
    const refused = failed.filter(({ name }) => name === 'AttemptsError') as (Error & {
      retryAfter: number
    })[]
    assert.equal(refused.length, 1000 - hashes)
    assert.ok(refused.every(({ retryAfter }) => retryAfter > 0 && retryAfter <= 900))
    // who is signed in stays so, a known browser gets in, and so does who comes from elsewhere
    assert.ok(accounts.find(token))
    assert.equal((await signIn({ device })).account.name, 'anna')
    await signIn({}, { ...FROM, address: '198.51.100.7' })
    // a thousand addresses: strangers wait, and only for a while
    const guesses = Array.from({ length: 1000 }, (_, i) =>
      signIn({ password: 'guess' }, { ...FROM, address: `10.0.${i >> 8}.${i & 255}` }).catch(
        ({ name }) => name
      )
    )
    assert.equal((await Promise.all(guesses)).filter(name => name === 'SignInError').length, 20)
    await assert.rejects(signIn({}, { ...FROM, address: '198.51.100.8' }), { name: 'AttemptsError' })
    assert.equal((await signIn({ device })).account.name, 'anna')
    await assert.rejects(signIn({ device: `${device.startsWith('A') ? 'B' : 'A'}${device.slice(1)}` }), {
      name: 'AttemptsError'
    })
    // the owner's link is another way in
    const { code } = accounts.reset('anna')
    await accounts.accept({ code, password: 'another horse battery' }, FROM)
    now += 15 * 60_000
    await signIn({ password: 'another horse battery' })
  })

  it('takes an invitation once, in time, and lets nobody take a name that is taken', async () => {
    await join_('Anna')
    const { code } = accounts.invite({ role: 'pupil' })
    await assert.rejects(accounts.accept({ code, name: 'ANNA', password: PASSWORD }, FROM), {
      name: 'ConflictError'
    })
    const { code: other } = accounts.invite({ role: 'pupil' })
    await assert.rejects(accounts.accept({ code: other, name: 'boris', password: 'boris12345' }, FROM), {
      name: 'RequestError'
    })
    const both = await Promise.allSettled(
      ['boris', 'boris'].map(name => accounts.accept({ code: other, name, password: PASSWORD }, FROM))
    )
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    await assert.rejects(accounts.accept({ code: other, name: 'vera', password: PASSWORD }, FROM), {
      name: 'NotFoundError'
    })
    const late = accounts.invite({ role: 'pupil' })
    const withdrawn = accounts.invite({ role: 'pupil' })
    accounts.withdraw(withdrawn.id)
    now += 7 * DAY_MS
    for (const { code } of [late, withdrawn])
      await assert.rejects(accounts.accept({ code, name: 'vera', password: PASSWORD }, FROM), {
        name: 'NotFoundError'
      })
    assert.deepEqual(accounts.invitations(), [])
  })

  it('changes a password for who knows the present one, and ends the other sessions', async () => {
    const first = await join_('anna')
    const { token } = await signIn()
    const grant = accounts.find(token)!
    await assert.rejects(
      accounts.changePassword(grant, { current: 'wrong', password: 'new horse battery' }),
      {
        name: 'SignInError'
      }
    )
    await assert.rejects(accounts.changePassword(grant, { current: PASSWORD, password: 'password12' }), {
      name: 'RequestError'
    })
    await accounts.changePassword(grant, { current: PASSWORD, password: 'new horse battery' })
    assert.ok(accounts.find(token))
    assert.equal(accounts.find(first.token), undefined)
    await assert.rejects(signIn(), { name: 'SignInError' })
    await signIn({ password: 'new horse battery' })
    for (let i = 0; i < 20; i++)
      await accounts.changePassword(grant, { current: 'wrong', password: PASSWORD }).catch(() => {})
    await assert.rejects(
      accounts.changePassword(grant, { current: 'new horse battery', password: PASSWORD }),
      { name: 'AttemptsError' }
    )
  })

  it('asks for the second factor, takes each code once, and lets the owner remove it', async () => {
    const { token } = await join_('anna')
    const grant = accounts.find(token)!
    const { uri, secret } = accounts.enrolSecondFactor(grant)
    assert.match(uri, /^otpauth:\/\/totp\/Artel:anna\?issuer=Artel&secret=/)
    const app = new TOTP({ secret })
    const code = () => app.generate({ timestamp: now })
    assert.throws(() => accounts.confirmSecondFactor(grant, '000000'), { name: 'SignInError' })
    await signIn()
    accounts.confirmSecondFactor(grant, code())
    await assert.rejects(signIn(), { name: 'SecondFactorError' })
    await assert.rejects(signIn({ code: code() }), { name: 'SignInError' })
    now += 30_000
    const taken = await Promise.allSettled([signIn({ code: code() }), signIn({ code: code() })])
    assert.deepEqual(taken.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.throws(() => accounts.enrolSecondFactor(grant), { name: 'ConflictError' })
    now += 15 * 60_000
    const guesses = await Promise.all(
      Array.from({ length: 200 }, (_, i) => signIn({ code: String(100_000 + i) }).catch(({ name }) => name))
    )
    assert.ok(guesses.filter(name => name === 'SignInError').length <= 6)
    accounts.removeSecondFactor('anna')
    now += 15 * 60_000
    await signIn()
  })

  it('brings in a list as a whole or not at all, and a second time changes nothing', async () => {
    await join_('anna')
    const text = 'name,role\nanna,teacher\nboris,\nvera,teacher\n'
    const preview = accounts.importList(text, { role: 'pupil', isPreview: true })
    assert.deepEqual(
      preview.lines.map(({ action }) => action),
      ['change', 'create', 'create']
    )
    assert.equal(accounts.list().length, 1)
    const wrong = accounts.importList(`${text}<b>,\n`, { role: 'pupil', isPreview: false })
    assert.equal(wrong.isDone, false)
    assert.equal(accounts.list().length, 1)
    const done = accounts.importList(text, { role: 'pupil', isPreview: false })
    assert.deepEqual(
      accounts.list().map(({ name, role, hasPassword }) => [name, role, hasPassword]),
      [
        ['anna', 'teacher', true],
        ['boris', 'pupil', false],
        ['vera', 'teacher', false]
      ]
    )
    const [boris] = done.invitations
    assert.equal(
      (await accounts.accept({ code: boris!.code, password: PASSWORD }, FROM)).account.name,
      'boris'
    )
    const again = accounts.importList(text, { role: 'pupil', isPreview: false })
    assert.deepEqual([...new Set(again.lines.map(({ action }) => action))], ['same'])
    assert.deepEqual(again.invitations, [])
  })
})
