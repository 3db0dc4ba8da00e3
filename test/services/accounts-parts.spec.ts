import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import {
  createAttempts,
  type Key,
  keysOf,
  LONGEST_MS,
  networkOf
} from '../../services/gateway/accounts/attempts.ts'
import { AttemptsError, SignInError } from '../../services/gateway/accounts/errors.ts'
import { planImport } from '../../services/gateway/accounts/import-list.ts'
import { checkName, nameKey } from '../../services/gateway/accounts/names.ts'
import { checkPassword } from '../../services/gateway/accounts/password-rules.ts'
import { createPasswords } from '../../services/gateway/accounts/passwords.ts'
import { checkTotp } from '../../services/gateway/accounts/totp.ts'
import { createVisitors } from '../../services/gateway/accounts/visitors.ts'

const HOUR_MS = 3_600_000

describe('accounts: attempts', () => {
  /** tries until `wanted` attempts were let in, as soon as each may come; the answer is how long that took, in ms */
  const guess = (wanted: number, keys: (i: number) => Key[]): number => {
    let now = 0
    const attempts = createAttempts(() => now)
    for (let i = 0; i < wanted; i++) {
      const answer = attempts.enter(keys(i))
      if ('waitMs' in answer) {
        now += answer.waitMs
        i--
      }
    }
    return now
  }

  it('makes a thousand guesses of one password last for days, from one address or a thousand', () => {
    const one = guess(1000, () => keysOf({ name: 'anna', address: '10.0.0.1' }))
    assert.ok(one > 9 * 24 * HOUR_MS, `${one / HOUR_MS} h`)
    const many = guess(1000, i => keysOf({ name: 'anna', address: `10.0.${i >> 8}.${i & 255}` }))
    assert.ok(many > 9 * 24 * HOUR_MS, `${many / HOUR_MS} h`)
    const spread = guess(1000, i => keysOf({ name: `pupil ${i}`, address: '10.0.0.1' }))
    assert.ok(spread > 24 * HOUR_MS, `${spread / HOUR_MS} h`)
  })

  it('lets nobody wait longer than the longest wait, whatever others do', () => {
    const event = fc.record({
      name: fc.constantFrom('anna', 'boris'),
      address: fc.constantFrom('10.0.0.1', '10.0.0.2', '::1'),
      pauseMs: fc.integer({ min: 0, max: HOUR_MS }),
      isRight: fc.boolean()
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 300 }), events => {
        let now = 0
        const attempts = createAttempts(() => now)
        for (const { name, address, pauseMs, isRight } of events) {
          now += pauseMs
          const answer = attempts.enter(keysOf({ name, address }))
          if ('waitMs' in answer) assert.ok(answer.waitMs > 0 && answer.waitMs <= LONGEST_MS)
          else if (isRight) answer.succeeded()
        }
        now += LONGEST_MS
        assert.ok(!('waitMs' in attempts.enter(keysOf({ name: 'anna', address: '10.0.0.1' }))))
      })
    )
  })

  it('keeps a browser that signed in before out of what strangers do to its name and its address', () => {
    const now = 0
    const attempts = createAttempts(() => now)
    for (let i = 0; i < 1000; i++) attempts.enter(keysOf({ name: 'anna', address: '10.0.0.1' }))
    for (let i = 0; i < 1000; i++) attempts.enter(keysOf({ name: 'anna', address: `10.1.0.${i % 250}` }))
    assert.ok('waitMs' in attempts.enter(keysOf({ name: 'anna', address: '10.2.0.1' })))
    const known = keysOf({ name: 'anna', address: '10.0.0.1', device: 'x' })
    assert.ok(!('waitMs' in attempts.enter(known)))
  })

  it('does not let who has an account of his own clear the failures of his address', () => {
    let now = 0
    const attempts = createAttempts(() => now)
    let guesses = 0
    for (; now < 24 * HOUR_MS; now += 1000) {
      const own = attempts.enter(keysOf({ name: 'mallory', address: '10.0.0.1' }))
      if (!('waitMs' in own)) own.succeeded()
      if (!('waitMs' in attempts.enter(keysOf({ name: `pupil ${now}`, address: '10.0.0.1' })))) guesses++
    }
    assert.ok(guesses < 1000, `${guesses} guesses in a day`)
  })

  it('is as new after a day without failures, and a right attempt leaves nothing', () => {
    let now = 0
    const attempts = createAttempts(() => now)
    const keys = keysOf({ name: 'anna', address: '10.0.0.1' })
    for (let i = 0; i < 5; i++) attempts.enter(keys)
    assert.ok('waitMs' in attempts.enter(keys))
    now += 24 * HOUR_MS
    for (let i = 0; i < 5; i++) assert.ok(!('waitMs' in attempts.enter(keys)), String(i))
    now += LONGEST_MS
    for (let i = 0; i < 500; i++) {
      const answer = attempts.enter(keys)
      assert.ok(!('waitMs' in answer))
      answer.succeeded()
    }
  })

  it('takes the addresses of one household as one', () => {
    for (const [address, network] of [
      ['192.0.2.1', '192.0.2.1'],
      ['::ffff:192.0.2.1', '192.0.2.1'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
      ['2001:DB8:0001:0002::', '2001:db8:1:2::/64'],
      ['2001:db8::1', '2001:db8:0:0::/64'],
      ['::1', '0:0:0:0::/64'],
      ['fe80::1%eth0', 'fe80:0:0:0::/64']
    ] as const)
      assert.equal(networkOf(address), network)
  })
})

describe('accounts: passwords', () => {
  it('refuses what is tried first, and says why without the password', async () => {
    for (const password of [
      'short',
      'password12',
      'qwertyuiop',
      '1234567890',
      'aaaaaaaaaaaa',
      'school2026',
      'anna.petrova1',
      'x'.repeat(201)
    ])
      await assert.rejects(checkPassword(password, 'anna.petrova'), (error: Error) => {
        assert.equal(error.name, 'RequestError')
        assert.ok(!error.message.includes(password))
        return true
      })
    for (const password of ['correct horse battery', 'зелёный чайник поёт', 'vK2-pq9-Zr4w'])
      await checkPassword(password, 'anna.petrova')
  })

  it('hashes as RFC 9106 says, and knows the password however it was typed', async () => {
    const passwords = createPasswords({ memoryKiB: 64, passes: 1, lanes: 1 })
    const kept = await passwords.hash('caf\u00e9 au lait', 'stranger')
    assert.match(kept, /^\$argon2id\$v=19\$m=64,t=1,p=1\$/)
    assert.equal(await passwords.verify('cafe\u0301 au lait', kept, 'stranger'), true)
    assert.equal(await passwords.verify('cafe au lait', kept, 'stranger'), false)
    assert.equal(await passwords.verify('cafe au lait', undefined, 'stranger'), false)
    assert.equal(createPasswords({ memoryKiB: 128, passes: 1, lanes: 1 }).isOld(kept), true)
    // from the reference implementation: echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32
    const other = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
    assert.equal(await passwords.verify('password', other, 'stranger'), true)
  })

  it('hashes few at a time, lets known people pass strangers, and refuses what would wait too long', async () => {
    const passwords = createPasswords({ memoryKiB: 8192, passes: 2, lanes: 1 })
    const strangers = Array.from({ length: 500 }, () =>
      passwords.verify('guess', undefined, 'stranger').then(
        () => 'answered',
        (error: Error) => error.name
      )
    )
    let isDone = false
    void Promise.all(strangers).then(() => {
      isDone = true
    })
    await passwords.verify('mine', undefined, 'known')
    assert.equal(isDone, false)
    const answers = await Promise.all(strangers)
    assert.equal(answers.filter(answer => answer === 'TooManyRequestsError').length, 400)
    assert.equal(answers.filter(answer => answer === 'answered').length, 100)
  })
})

describe('accounts: second factor', () => {
  // RFC 6238, appendix B, SHA-1; the last six of its eight digits
  const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  const VECTORS: [seconds: number, code: string][] = [
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130']
  ]

  it('takes the codes of RFC 6238, each of them once, and those of half a minute around', () => {
    for (const [seconds, code] of VECTORS) {
      const step = checkTotp(SECRET, code, seconds * 1000, 0)
      assert.equal(step, Math.floor(seconds / 30))
      assert.equal(checkTotp(SECRET, code, seconds * 1000, step!), undefined)
      assert.equal(checkTotp(SECRET, code, (seconds + 30) * 1000, 0), step)
      assert.equal(checkTotp(SECRET, code, (seconds + 90) * 1000, 0), undefined)
    }
    for (const code of ['', '28708', '2870821', 'abcdef', '٢٨٧٠٨٢', '287083'])
      assert.equal(checkTotp(SECRET, code, 59_000, 0), undefined, code)
  })
})

describe('accounts: names and lists', () => {
  it('takes names of people in any script, and none that deceive', () => {
    for (const name of ['anna', 'Анна Петрова', "O'Brien", 'jean-luc@school', '王小明', 'müller.7'])
      assert.equal(checkName(` ${name} `), name)
    for (const name of [
      '',
      ' ',
      '.hidden',
      'a\nb',
      'a\u202Eb',
      'x'.repeat(65),
      '<b>',
      'a/b',
      '=cmd',
      'a\u200Bb'
    ])
      assert.throws(() => checkName(name), { name: 'RequestError' }, name)
    assert.equal(nameKey('АННА  Петрова'), nameKey('Анна Петрова'))
    assert.equal(nameKey('Cafe\u0301'), nameKey('café'))
  })

  const plan = (text: string) =>
    planImport(text, {
      roles: ['admin', 'teacher', 'pupil'],
      defaultRole: 'pupil',
      roleOf: key => ({ anna: 'pupil', boris: 'teacher' })[key]
    })

  it('says for each line what it does', () => {
    const lines = plan('\uFEFFИмя;Роль\r\nanna;\r\nBoris;pupil\r\n"Петров, Олег";\r\n"Olga";teacher\r\n')
    assert.deepEqual(
      lines.map(({ line, name, role, action }) => [line, name, role, action]),
      [
        [2, 'anna', 'pupil', 'same'],
        [3, 'Boris', 'pupil', 'change'],
        [4, 'Петров, Олег', 'pupil', 'wrong'],
        [5, 'Olga', 'teacher', 'create']
      ]
    )
  })

  it('says in which line what is wrong', () => {
    const lines = plan('name,role\nvera,\nvera,teacher\nIvan,king\n,pupil\nx,y,z\n\nlast,pupil')
    assert.deepEqual(
      lines.map(({ line, action }) => [line, action]),
      [
        [2, 'create'],
        [3, 'wrong'],
        [4, 'wrong'],
        [5, 'wrong'],
        [6, 'wrong'],
        [8, 'create']
      ]
    )
    assert.match(lines[1]!.mistake!, /line 2/)
    assert.match(lines[2]!.mistake!, /"king"; there are admin, teacher, pupil/)
    for (const text of ['', 'a,b\nc,d', 'name\n"open', `name\n${'x'.repeat(5000)}`])
      assert.throws(() => plan(text), { name: 'RequestError' }, text.slice(0, 20))
  })
})

describe('accounts: visitors', () => {
  const origin = { address: '10.0.0.1', agent: 'x'.repeat(5_000) }
  const person = { name: 'bob', password: 'correct' }
  const entered = {
    token: 'of home',
    expires: 30 * 24 * HOUR_MS,
    device: 'mark',
    scopes: ['messenger:read'],
    account: { id: '1', name: 'bob', role: 'pupil', created: 0, hasSecondFactor: false }
  }
  type Judge = (init: { password: string; device?: string; agent: string }, peer: string) => object
  const open = (signIn: Judge, away: string[] = []) =>
    createVisitors({
      homes: () =>
        ({
          signIn: async (init: never, peer: string) => signIn(init, peer),
          answering: async (peers: string[]) => peers.filter(peer => !away.includes(peer))
        }) as never,
      accounts: {
        has: () => false,
        signIn: async ({ password }) => {
          if (password === 'of here') return { token: 'here' } as never
          throw new SignInError('here')
        }
      },
      endings: { end: () => undefined },
      failureMs: 0,
      now: () => 0,
      log: () => undefined
    })
  const at = (...peers: string[]) => ({ name: person.name, isHere: false, peers })
  const refuse = (name: string, message = '') => {
    throw Object.assign(new Error(message), { name })
  }

  it('of one home take no room of others, and send no more of their browser than a home takes', async () => {
    const { signIn, find } = open(({ agent }) => {
      assert.ok(agent.length <= 1_000)
      return entered
    })
    const other = await signIn(person, at('other'), origin)
    const tokens: string[] = []
    for (let i = 0; i < 1_200; i++) tokens.push((await signIn(person, at('home'), origin)).token)
    assert.ok(find(other.token))
    assert.equal(tokens.filter(token => find(token)).length, 50)
    assert.ok(find(tokens.at(-1)!))
  })

  it('a browser that the home knows does not wait for who guesses beside it', async () => {
    const { signIn } = open(({ password, device }) => {
      if (password === 'correct' && device === 'mark') return entered
      return refuse('SignInError')
    })
    for (let i = 0; i < 50; i++)
      await assert.rejects(signIn({ ...person, password: 'wrong' }, at('home'), origin), {
        name: 'SignInError'
      })
    assert.ok(await signIn({ ...person, device: 'mark' }, at('home'), origin))
    const guesses = Array.from({ length: 100 }, () =>
      signIn({ ...person, password: 'wrong' }, at('home'), origin)
    )
    await assert.rejects(Promise.all(guesses), ({ name }: Error) => /^(SignIn|Attempts)Error$/.test(name))
    await assert.rejects(signIn(person, at('home'), origin), { name: 'AttemptsError' })
  })

  it('a home that says no, one that is shut or away, and one that is none answer alike, also to many guesses', async () => {
    /** as a home of today counts */
    const judge = () => {
      const attempts = createAttempts(() => 0)
      return () => {
        const attempt = attempts.enter([`pair ${person.name}`])
        if (!('waitMs' in attempt)) return refuse('SignInError', 'wrong')
        throw new AttemptsError(attempt.waitMs)
      }
    }
    const answersOf = async (visitors: ReturnType<typeof open>, ...peers: string[]): Promise<string[]> => {
      const told: string[] = []
      for (let i = 0; i < 8; i++)
        await assert.rejects(visitors.signIn(person, at(...peers), origin), (error: Error) => {
          told.push(JSON.stringify([error.name, error.message, error]))
          return true
        })
      return told
    }
    const none = await answersOf(open(judge()))
    assert.match(none[0]!, /SignInError/)
    assert.match(none.at(-1)!, /AttemptsError.*retryAfter/)
    assert.deepEqual(await answersOf(open(judge()), 'home'), none)
    assert.deepEqual(await answersOf(open(judge(), ['home']), 'home'), none)
    assert.deepEqual(
      await answersOf(
        open(() => refuse('ForbiddenError', 'no home')),
        'home'
      ),
      none
    )
  })

  it('of two homes of one name the one that knows the password lets him in, this node first', async () => {
    const { signIn, find, end } = open((_, peer) => {
      if (peer === 'second') return entered
      return refuse('SignInError')
    })
    const { token, session } = await signIn(person, at('first', 'second'), origin)
    assert.equal(find(token)?.home?.peer, 'second')
    end(session.id)
    assert.equal(find(token), undefined)
    const here = await signIn({ ...person, password: 'of here' }, { ...at('second'), isHere: true }, origin)
    assert.equal(here.token, 'here')
    const there = await signIn(person, { ...at('second'), isHere: true }, origin)
    assert.equal(find(there.token)?.home?.peer, 'second')
  })
})
