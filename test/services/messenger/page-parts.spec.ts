import assert from 'node:assert/strict'
import fc from 'fast-check'
import { slots } from '../../../services/host/index.ts'
import { oneAtATime } from '../../../services/host/page/one-at-a-time.ts'
import { PAGE_LINES, RefusedError } from '../../../services/messenger/page/api.ts'
import { piecesOf } from '../../../services/messenger/page/format-text.ts'
import { createOutbox, type Waiting } from '../../../services/messenger/page/outbox.ts'
import { en, ru } from '../../../services/messenger/page/texts.ts'
import { withNewest } from '../../../services/messenger/page/use-lines.ts'
import type { Line } from '../../../services/messenger/page/wire.ts'
import { createWords } from '../../../services/messenger/page/words.ts'
import { NAUGHTY } from './naughty.ts'
import { until } from './school.ts'

describe('messenger: page, texts', () => {
  it('says in either language why a program does not work, and what it does not know as the node says it', () => {
    for (const is of slots.fault.shape.is.options)
      for (const texts of [en, ru]) assert.ok(Object.hasOwn(texts, `fault_${is}`), is)
    const { whyFailed } = createWords('ru')
    const failed = { version: '9', why: 'in English' }
    const faults = [
      { is: 'newer', of: ['messenger', 'failed', 'of version 9'] },
      { is: 'late', of: ['30'] }
    ]
    assert.equal(
      whyFailed({ ...failed, faults }),
      'данные службы messenger записаны более новой программой; она не запустилась за 30 с'
    )
    for (const unknown of [undefined, [], [...faults, { is: 'of a newer node', of: [] }]])
      assert.equal(whyFailed({ ...failed, ...(unknown && { faults: unknown }) }), 'in English')
  })

  it('marks what Markdown marks, makes links of addresses, and leaves everything else as it is', () => {
    const shown = (text: string): string =>
      piecesOf(text)
        .map(piece => (piece.kind === 'plain' ? piece.text : `<${piece.kind}:${piece.text}>`))
        .join('')
    const cases: Record<string, string> = {
      '**a** *b* `c`': '<bold:a> <italic:b> <code:c>',
      '```\nlet a = 1 * 2\n``` after': '<block:let a = 1 * 2\n> after',
      '2 * 3 * 4 and a*b*c and ** ** and ``': '2 * 3 * 4 and a*b*c and <bold: > and ``',
      '(see https://example.org/a_(b)?c=*d*).': '(see <link:https://example.org/a_(b)?c=*d>*).',
      'HTTP://x javascript:alert(1) ftp://x //x': 'HTTP://x javascript:alert(1) ftp://x //x',
      'http://example.org@evil.example http://': 'http://example.org@evil.example http://',
      '`<b>` <b>': '<code:<b>> <b>'
    }
    for (const [text, expected] of Object.entries(cases)) assert.equal(shown(text), expected, text)
    for (const text of NAUGHTY) assert.equal(shown(text), text)
  })

  it('of any text links lead to the web, and no letter but marks is lost', () => {
    const marked = fc.array(
      fc.oneof(fc.constantFrom('*', '**', '`', '```', 'https://a.b', '\n', ' '), fc.string()),
      { maxLength: 30 }
    )
    const without = (text: string): string => text.replaceAll(/[*`\n]/g, '')
    fc.assert(
      fc.property(marked, parts => {
        const text = parts.join('')
        const pieces = piecesOf(text)
        assert.equal(without(pieces.map(piece => piece.text).join('')), without(text))
        for (const piece of pieces) if (piece.kind === 'link') assert.match(piece.url, /^https?:\/\//)
      })
    )
  })
})

describe('messenger: page, what is on its way', () => {
  function open(say: (text: string, key: string) => Promise<void>, kept: readonly Waiting[] = []) {
    let rows: readonly Waiting[] = []
    const outbox = createOutbox(
      ({ text }, key) => say(text, key),
      changed => {
        rows = changed
      },
      kept
    )
    return { outbox, rows: () => rows, group: 'g' }
  }

  it('goes in its order, again under the same key where nobody answered, and is there once', async () => {
    const arrived: string[] = []
    let isCut = true
    const keys = new Map<string, Set<string>>()
    const { outbox, rows, group } = open(async (text, key) => {
      keys.set(text, (keys.get(text) ?? new Set()).add(key))
      if (isCut) throw new TypeError('failed to fetch')
      arrived.push(text)
    })
    for (const text of ['a', 'b', 'c']) outbox.add({ group, text })
    await until('the first waits', () => rows()[0]?.state === 'waiting')
    assert.deepEqual(
      rows().map(({ text }) => text),
      ['a', 'b', 'c']
    )
    isCut = false
    outbox.wake()
    await until('all are through', () => rows().length === 0)
    assert.deepEqual(arrived, ['a', 'b', 'c'])
    assert.deepEqual(
      [...keys.values()].map(({ size }) => size),
      [1, 1, 1]
    )
    assert.equal(new Set([...keys.values()].flatMap(each => [...each])).size, 3)
    outbox.close()
  })

  it('goes on with what a page of before had, under the same keys, and tells nobody once it is closed', async () => {
    const kept: Waiting[] = ['a', 'b'].map(text => ({
      group: 'g',
      text,
      key: `key ${text}`,
      state: 'waiting'
    }))
    const arrived: string[] = []
    const isHere = Promise.withResolvers<void>()
    const { outbox, rows } = open(async (text, key) => {
      arrived.push(`${text} ${key}`)
      if (text === 'b') await isHere.promise
    }, kept)
    await until('the second is on its way', () => arrived.length === 2)
    assert.deepEqual(arrived, ['a key a', 'b key b'])
    outbox.close()
    isHere.resolve()
    await new Promise(resolve => setImmediate(resolve))
    // it is kept where it was, and under its key it would be written once
    assert.deepEqual(
      rows().map(({ text }) => text),
      ['b']
    )
  })

  it('holds back nothing behind what is refused, which stays with why until it is thrown away', async () => {
    const arrived: string[] = []
    const { outbox, rows, group } = open(async text => {
      if (text === 'bad') throw new RefusedError(403, 'pupils do not')
      arrived.push(text)
    })
    for (const text of ['bad', 'good']) outbox.add({ group, text })
    await until('the good one is through', () => arrived.length === 1)
    await until('only the bad one stays', () => rows().length === 1)
    assert.deepEqual([rows()[0]?.state, rows()[0]?.why], ['refused', 'pupils do not'])
    outbox.drop(rows()[0]!.key)
    assert.deepEqual(rows(), [])
    outbox.close()
  })
})

describe('messenger: page, what was said', () => {
  const line = (n: number): Line => ({
    id: `id${n}`,
    at: n,
    by: { id: 'ann', name: 'Ann' },
    kind: 'text',
    text: String(n)
  })
  /** newest first, as the node gives it */
  const newest = (from: number, to: number): Line[] =>
    Array.from({ length: to - from + 1 }, (_, i) => line(to - i))
  const numbers = ({ lines }: { lines: readonly Line[] }): number[] => lines.map(({ at }) => at)

  it('keeps what is older than the newest page, unless something between is not known', () => {
    const first = withNewest(undefined, newest(1, PAGE_LINES))
    assert.deepEqual(
      [first.hasMore, numbers(first)],
      [
        true,
        newest(1, PAGE_LINES)
          .map(({ at }) => at)
          .toReversed()
      ]
    )
    const next = withNewest(first, newest(3, PAGE_LINES + 2))
    assert.deepEqual(
      numbers(next),
      Array.from({ length: PAGE_LINES + 2 }, (_, i) => i + 1)
    )
    const far = withNewest(next, newest(1_000, 1_000 + PAGE_LINES - 1))
    assert.deepEqual([far.hasMore, far.lines.length, far.lines[0]?.at], [true, PAGE_LINES, 1_000])
    assert.deepEqual(withNewest(undefined, newest(1, 3)).hasMore, false)
  })

  it('is asked for once at a time, and once more for all who asked meanwhile', async () => {
    let runs = 0
    let atOnce = 0
    const run = oneAtATime(async () => {
      runs++
      assert.equal(++atOnce, 1)
      await new Promise(resolve => setImmediate(resolve))
      atOnce--
    })
    await Promise.all(Array.from({ length: 100 }, run))
    assert.equal(runs, 2)
    await run()
    assert.equal(runs, 3)
  })
})
