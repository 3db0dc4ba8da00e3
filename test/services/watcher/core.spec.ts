import { deepEqual, equal, ok, throws } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { byKey, compare, type KnownItem } from '../../../services/watcher/core/compare.ts'
import { doubt, type Figures, figuresOf, remember } from '../../../services/watcher/core/judge.ts'
import { nextTime } from '../../../services/watcher/core/times.ts'
import { isWanted } from '../../../services/watcher/core/wanted.ts'
import { decodeText } from '../../../services/watcher/decode.ts'
import type { Fields } from '../../../services/watcher/extract/contract.ts'
import { createLook } from '../../../services/watcher/look.ts'
import { ruleSchema, type Subscription, subscriptionSchema } from '../../../services/watcher/rule.ts'
import { MIGRATIONS } from '../../../services/watcher/schema.ts'
import { isFound } from '../../../services/watcher/search/fold.ts'
import { createOutbox } from '../../../services/watcher/send/outbox.ts'
import { createStore } from '../../../services/watcher/store.ts'
import { toCsv } from '../../../services/watcher/tables.ts'
import { createTurns } from '../../../services/watcher/turns.ts'
import { until } from '../../bootstrap/nodes.ts'

const row = (id: number, state = 'open'): Fields => ({ id: String(id), state })
const keyed = (rows: Fields[]) => byKey(rows, ['id'])

/** Applies right fetches one after the other; the kinds of change with their keys, fetch by fetch. */
function replay(fetches: Fields[][]): string[][] {
  const known = new Map<string, KnownItem>()
  return fetches.map(rows => {
    const { changes, items } = compare(known.values(), keyed(rows))
    for (const item of items) known.set(item.key, item)
    return changes.map(({ kind, key }) => `${kind} ${key}`)
  })
}

describe('watcher: what is a change', () => {
  it('not the order of rows, not a row that stands there twice', () => {
    const rows = [row(1), row(2), row(3), row(2, 'closed')]
    deepEqual(replay([rows, rows.toReversed(), [rows[3]!, rows[1]!, rows[0]!, rows[2]!]]), [
      ['new 1', 'new 2', 'new 3'],
      [],
      []
    ])
  })

  it('gone is what two fetches in a row do not have', () => {
    deepEqual(
      replay([
        [row(1), row(2)],
        [row(1)],
        [row(1), row(2)],
        [row(1)],
        [row(1)],
        [row(1)],
        [row(1), row(2, 'x')]
      ]),
      [['new 1', 'new 2'], [], [], [], ['gone 2'], [], ['returned 2']]
    )
    deepEqual(replay([[row(1)], [row(1, 'closed')]]), [['new 1'], ['changed 1']])
  })

  it('a row without its key is none', () => {
    equal(keyed([{ id: '', state: 'ad' }, row(1)]).size, 1)
    equal(
      byKey(
        [
          { a: '1', b: '2' },
          { a: '1', b: '3' }
        ],
        ['a', 'b']
      ).size,
      2
    )
  })
})

describe('watcher: what is not believed', () => {
  const rule = (expect: object, login?: object) =>
    ruleSchema.parse({
      name: 'r',
      urls: ['https://example.org/'],
      extract: { rows: { css: 'tr' }, fields: { id: { css: 'td' }, state: { css: 'b' } } },
      key: ['id'],
      expect,
      ...(login == null ? {} : { login })
    })
  const figures = (rows: Fields[]): Figures => figuresOf(rows, ['id', 'state'])
  const usual = Array.from({ length: 10 }, () => figures([1, 2, 3, 4, 5, 6, 7, 8].map(id => row(id))))
  const judge = (rows: Fields[], { texts = ['page'], history = usual, of = rule({}) } = {}) =>
    doubt(of, { texts, figures: figures(rows), history })

  it('less than half of the items, a field that is half as full, no items at all', () => {
    equal(judge([1, 2, 3, 4].map(id => row(id))), undefined)
    equal(judge([1, 2, 3].map(id => row(id))), '3 items, where 8 are usual')
    equal(
      judge([1, 2, 3, 4, 5].map(id => row(id, id < 3 ? 'open' : ''))),
      '"state" stands in 40 % of the items, where 100 % are usual'
    )
    equal(judge([], { history: [] }), 'there are no items')
    equal(judge([], { of: rule({ emptyWhen: 'no cases' }), texts: ['there are no cases today'] }), undefined)
    equal(judge([], { of: rule({ emptyWhen: 'no cases' }) }), 'there are no items')
  })

  it('a page without its header, or without what only those see who are inside', () => {
    const login = { url: 'https://example.org/in', form: 'form', fill: {}, marker: 'Log out' }
    const rows = [1, 2, 3, 4].map(id => row(id))
    equal(judge(rows, { of: rule({ header: ['Cases'] }) }), 'a page does not have "Cases"')
    equal(judge(rows, { of: rule({ header: ['Cases'] }), texts: ['Cases', 'Cases of 2025'] }), undefined)
    equal(
      judge(rows, { of: rule({}, login), texts: ['Log in'] }),
      'a page does not have "Log out": not logged in'
    )
  })

  it('only the last ten count', () => {
    let history: Figures[] = []
    for (let i = 0; i < 25; i++) history = remember(history, figures([row(i)]))
    equal(history.length, 10)
  })
})

describe('watcher: who is told', () => {
  const wants = (subscription: object, event: Parameters<typeof isWanted>[1]) =>
    isWanted(
      subscriptionSchema.parse({
        name: 's',
        channel: { kind: 'email', to: 'a@example.org' },
        ...subscription
      }),
      event
    )

  it('when a condition becomes true, and again after it was false', () => {
    const when = { field: 'price', below: 100 }
    const change = (old: string, now: string) =>
      wants({ when }, { kind: 'changed', rule: 'r', old: { price: old }, new: { price: now } })
    deepEqual(
      [change('120', '90'), change('90', '80'), change('80', '120'), change('120', '99.5'), change('x', '')],
      [true, false, false, true, false]
    )
    ok(wants({ when }, { kind: 'new', rule: 'r', new: { price: '50' } }))
    ok(wants({ when }, { kind: 'returned', rule: 'r', old: { price: '50' }, new: { price: '50' } }))
    ok(!wants({ when }, { kind: 'gone', rule: 'r', old: { price: '50' } }))
  })

  it('by a pattern, in time that the length of the text bounds', () => {
    const found = (matches: string, number: string) =>
      wants({ when: { field: 'number', matches } }, { kind: 'new', rule: 'r', new: { number } })
    deepEqual(
      [found('^2-\\d+/(2025|2026)$', '2-77/2026'), found('^2-\\d+/(2025|2026)$', '2-77/2024')],
      [true, false]
    )
    deepEqual([found('(?i)щерб', 'Дело Щербакова'), found('щерб', 'Дело Щербакова')], [true, false])
    const both = { field: 'number', matches: '^2', contains: '7' }
    deepEqual(
      ['27', '72', '28'].map(number => wants({ when: both }, { kind: 'new', rule: 'r', new: { number } })),
      [true, false, false]
    )
    // an engine that goes back tries 2^9,000 ways
    const long = 'a'.repeat(9_000)
    deepEqual([found('^(a+)+$', `${long}b`), found('^(a+)+$', long)], [false, true])
    deepEqual([found('b', `${long}b`), found('b', `${long}${long}b`)], [true, false])
  })

  it('of its rule, its kinds, its words', () => {
    const event = { kind: 'gone' as const, rule: 'r', old: { party: 'Щербаков И. И.' } }
    ok(wants({ query: 'shcherbakov' }, event))
    ok(!wants({ query: 'shcherbakova' }, event))
    ok(!wants({ kinds: ['new'] }, event))
    ok(!wants({ rule: 'other' }, event))
  })
})

/** Each line: how one name is written. */
const NAMES = `Щербаков Shcherbakov Scherbakov Sherbakov ЩЕРБАКОВ Щepбaкoв
Семёнов Семенов Semyonov Semenov Semionov
Жуков Zhukov
Цветков Tsvetkov Tzvetkov
Чайковский Chaikovsky Tchaikovsky Chaykovskiy Chajkovskij
Ходасевич Khodasevich Hodasevich
Юлия Yulia Julia Iuliia Yuliya
Александр Alexander Aleksandr
Евгений Yevgeny Evgeniy Evgeny Yevgeniy
Яковлев Yakovlev Iakovlev Jakovlev
Гришкевич Grishkevich Hryshkevich
Фёдоров Fedorov Fyodorov Федоров
Белый Belyy Bely Belyi
О'Коннор O’Connor O'Connor
Соловьёв Solovyov Soloviev Solovyev
Шиманский Shimansky Szymanski
Кузьмин Kuzmin Kuz'min
Максим Maksim Maxim
Филиппов Filippov Philippov Filipov
Ткачёв Tkachev Tkachyov
Щукин Shchukin Schukin
Хрущёв Khrushchev Hruschev
Быков Bykov Bikov
Каўка Kauka
Зайцев Zaitsev Zaytsev Zajcev
Дмитрий Dmitry Dmitriy Dmitrii`
  .split('\n')
  .map(line => line.split(' '))

describe('watcher: names', () => {
  it('62 spellings of 26 names find them, and no other of them', () => {
    equal(NAMES.length, 26)
    ok(NAMES.flat().length - NAMES.length >= 62)
    for (const spellings of NAMES)
      for (const spelling of spellings)
        for (const [name] of NAMES)
          equal(
            isFound(spelling, { party: `гр. ${name}, истец` }),
            name === spellings[0],
            `${spelling} in ${name}`
          )
  })

  it('what is too long for one is found as it is written, and takes no longer for that', () => {
    const found = (query: string, length: number) =>
      isFound(query.repeat(length), { party: 'й'.repeat(length) })
    deepEqual(
      [found('y', 64), found('y', 65), found('Й', 65), found('й', 1_000_000)],
      [true, false, true, true]
    )
  })
})

describe('watcher: times', () => {
  const minsk = (text: string) => Date.parse(`${text}+03:00`)

  it('once each, also where the clock is put forward or back', () => {
    // Berlin has no 02:30 on 29 March 2026, and two of them on 25 October
    const day = (from: string) => {
      const times: string[] = []
      for (let at = Date.parse(from); times.length < 3; ) {
        at = nextTime('30 2 * * *', 'Europe/Berlin', at)
        times.push(new Date(at).toISOString())
      }
      return times.map(time => time.slice(0, 10))
    }
    deepEqual(day('2026-03-28T00:00:00Z'), ['2026-03-28', '2026-03-29', '2026-03-30'])
    deepEqual(day('2026-10-24T00:00:00Z'), ['2026-10-24', '2026-10-25', '2026-10-26'])
  })

  it('a week asleep is one time', () => {
    equal(nextTime('0 9 * * *', 'Europe/Minsk', minsk('2026-05-08T12:00:00')), minsk('2026-05-09T09:00:00'))
  })

  it('shifted by at most a tenth of the distance', () => {
    const at = minsk('2026-05-08T12:00:00')
    const ideal = nextTime('*/30 * * * *', 'UTC', at)
    for (const chance of [0, 0.5, 1])
      ok(Math.abs(nextTime('*/30 * * * *', 'UTC', at, chance) - ideal) <= 180_000)
    throws(() => nextTime('61 * * * *', 'UTC', 0), RangeError)
    throws(() => nextTime('0 * * * *', 'Mars/Olympus', 0), RangeError)
  })
})

describe('watcher: turns', () => {
  it('of a host come one after the other, and one that is slow holds up no other host', async () => {
    const inTurn = createTurns<void>(2)
    const begun: string[] = []
    const ends = new Map<string, PromiseWithResolvers<void>>()
    const add = (host: string, name: string): Promise<void> =>
      inTurn(host, () => {
        begun.push(name)
        ends.set(name, Promise.withResolvers())
        return ends.get(name)!.promise
      })
    const all = Promise.allSettled([
      add('slow', 's1'),
      add('slow', 's2'),
      add('slow', 's3'),
      add('b', 'b1'),
      add('c', 'c1')
    ])
    const isBegun = (...names: string[]): Promise<void> =>
      until(() => begun.join() === names.join(), names.join())
    await isBegun('s1', 'b1')
    ends.get('b1')!.resolve()
    await isBegun('s1', 'b1', 'c1')
    // what fails lets the next in
    ends.get('s1')!.reject(new Error('no page'))
    await isBegun('s1', 'b1', 'c1', 's2')
    for (const name of ['c1', 's2']) ends.get(name)!.resolve()
    await isBegun('s1', 'b1', 'c1', 's2', 's3')
    ends.get('s3')!.resolve()
    deepEqual(
      (await all).map(({ status }) => status === 'fulfilled'),
      [false, true, true, true, true]
    )
  })
})

describe('watcher: texts of strangers', () => {
  it('pages by the charset of header, head, or UTF-8', () => {
    const cyrillic = Uint8Array.of(0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2)
    equal(decodeText(cyrillic, 'text/html; charset=windows-1251'), 'Привет')
    const meta = Buffer.concat([Buffer.from('<meta charset="cp1251">'), cyrillic])
    ok(decodeText(meta).endsWith('Привет'))
    equal(decodeText(Buffer.from('Привет'), 'text/html; charset=nonsense'), 'Привет')
  })

  it('cells that a spreadsheet would calculate are text', () => {
    const item = (text: string) => ({
      rule: 'r',
      key: 'k',
      fields: { a: text },
      first: 0,
      last: 0,
      isGone: false
    })
    const cells = ['=1+1', '+1', '-1', '@SUM(A1)', 'a,"b"', '\t=1'].map(
      text => toCsv([item(text)]).split('\r\n')[1]
    )
    const date = '1970-01-01T00:00:00.000Z'
    deepEqual(
      cells,
      ["'=1+1", "'+1", "'-1", "'@SUM(A1)", '"a,""b"""', "'\t=1"].map(cell => `r,${cell},${date},${date},`)
    )
  })
})

describe('watcher: messages', function () {
  this.timeout(600_000)

  it('hold each event once, whenever the node dies', async () => {
    const db = new DatabaseSync(':memory:')
    db.exec(MIGRATIONS.join(';'))
    const store = createStore(db)
    let clock = 0
    const outbox = createOutbox(db, store, () => clock)
    const rule = ruleSchema.parse({
      name: 'r',
      urls: ['https://example.org/'],
      extract: { rows: { css: 'tr' }, fields: { id: { css: 'td' }, state: { css: 'b' } } },
      key: ['id']
    })
    store.rules.put('r', 'v', rule, new Uint8Array(64), 0)
    const subscription = (body: object): Subscription =>
      subscriptionSchema.parse({ name: 's', channel: { kind: 'email', to: 'a@example.org' }, ...body })
    store.subscriptions.put('now', subscription({}), 0, undefined)
    store.subscriptions.put(
      'daily',
      subscription({ digest: '0 9 * * *' }),
      0,
      nextTime('0 9 * * *', 'UTC', 0)
    )
    // any number below: how often something may still be done before it ends with all that is not committed
    let left = Number.POSITIVE_INFINITY
    const die = (): void => {
      if (left-- <= 0) throw new Error('killed')
    }
    const look = createLook({
      store,
      visit: async () => [{ at: clock, url: 'u', hash: 'h', text: '' }],
      extractor: {
        items: async () => [states.map((state, id) => ({ id: String(id), state: String(state) }))]
      },
      share: { look: () => Promise.reject(new Error('nobody is asked')) },
      outbox: {
        ...outbox,
        cut() {
          die()
          outbox.cut()
          die()
        }
      },
      now: () => clock
    })
    const states = [0, 0, 0]
    let random = 1
    const dice = (sides: number): number => {
      random = (random * 48271) % 2147483647
      return random % sides
    }
    const taken: Record<string, Map<string, number[]>> = { now: new Map(), daily: new Map() }
    await look('r', new AbortController().signal)
    for (let round = 0; round < 1000; round++) {
      clock += 7_200_000
      states[dice(3)]! += dice(2)
      left = dice(4) === 0 ? dice(2) : Number.POSITIVE_INFINITY
      await look('r', new AbortController().signal).catch((error: Error) => equal(error.message, 'killed'))
      if (dice(2) === 0) store.atomically(() => outbox.cut())
      for (const { id, subscription, name, message } of outbox.due()) {
        const numbers = message.events.map(({ number }) => number)
        const before = taken[subscription]!.get(name)
        // what comes again is the same
        if (before != null) deepEqual(numbers, before)
        taken[subscription]!.set(name, numbers)
        // dead before it could write down that it was sent
        if (dice(5) > 0) outbox.sent(id)
      }
    }
    clock += 86_400_000
    store.atomically(() => outbox.cut())
    for (let due = outbox.due(); due.length > 0; due = outbox.due())
      for (const { id, subscription, name, message } of due) {
        taken[subscription]!.set(
          name,
          message.events.map(({ number }) => number)
        )
        outbox.sent(id)
      }
    const all = Array.from({ length: store.events.last() }, (_, i) => i + 1)
    ok(all.length > 300)
    for (const messages of Object.values(taken))
      deepEqual(
        [...messages.values()].flat().sort((a, b) => a - b),
        all
      )
    db.close()
  })

  it('come once a day, also where the clock is put forward or back, and once after a week asleep', () => {
    const db = new DatabaseSync(':memory:')
    db.exec(MIGRATIONS.join(';'))
    const store = createStore(db)
    const HOUR = 3_600_000
    for (const from of ['2026-03-26T00:00:00Z', '2026-10-22T00:00:00Z']) {
      let clock = Date.parse(from)
      const outbox = createOutbox(db, store, () => clock)
      const digest = { digest: '30 2 * * *', timeZone: 'Europe/Berlin' }
      const body = { name: 's', channel: { kind: 'email', to: 'a@example.org' }, ...digest }
      const first = nextTime(digest.digest, digest.timeZone, clock)
      store.subscriptions.put(from, subscriptionSchema.parse(body), store.events.last(), first)
      store.rules.put('r', 'v', {} as never, new Uint8Array(64), 0)
      const days: string[] = []
      const numbers: number[] = []
      const last = store.events.last()
      const hour = (passed: number): void => {
        clock += passed * HOUR
        store.events.add('r', clock, { kind: 'new', key: String(clock) })
        store.atomically(() => outbox.cut())
        for (const { id, message } of outbox.due()) {
          days.push(new Date(clock).toLocaleDateString('sv', { timeZone: digest.timeZone }))
          numbers.push(...message.events.map(({ number }) => number))
          outbox.sent(id)
        }
      }
      for (let hours = 0; hours < 6 * 24; hours++) hour(1)
      const day = Number(from.slice(8, 10))
      deepEqual(
        days,
        Array.from({ length: 6 }, (_, i) => `${from.slice(0, 8)}${day + i}`)
      )
      hour(7 * 24)
      equal(days.length, 7)
      // the next is due when it always was
      for (let hours = 0; hours < 24; hours++) hour(1)
      equal(days.length, 8)
      deepEqual(
        numbers,
        numbers.map((_, i) => last + i + 1)
      )
      ok(numbers.length > 6 * 24)
      store.subscriptions.remove(from)
    }
    db.close()
  })

  it('of one whose server is dead hold up nobody, and end after a day', () => {
    const db = new DatabaseSync(':memory:')
    db.exec(MIGRATIONS.join(';'))
    const store = createStore(db)
    let clock = 0
    const outbox = createOutbox(db, store, () => clock)
    const channel = { kind: 'email', to: 'a@example.org' }
    const subscription = subscriptionSchema.parse({
      name: 's',
      channel,
      digest: '0 * * * *',
      heartbeat: true
    })
    for (const id of ['dead', 'well']) store.subscriptions.put(id, subscription, 0, 3_600_000)
    let sent = 0
    for (let hour = 1; hour <= 72; hour++) {
      clock = hour * 3_600_000
      store.atomically(() => outbox.cut())
      for (const waiting of outbox.due())
        if (waiting.subscription === 'dead') outbox.refused(waiting, 'no answer')
        else {
          outbox.sent(waiting.id)
          sent++
        }
    }
    equal(sent, 72)
    const { dead = 0, waiting = 0 } = outbox.counts()
    equal(dead + waiting, 72)
    ok(dead > 0 && waiting >= 20, `${dead} dead, ${waiting} waiting`)
    db.close()
  })
})
