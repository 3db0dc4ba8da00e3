import { deepEqual, equal, ok, rejects } from 'node:assert/strict'
import { readFile, stat, utimes } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import { createSandbox, type Sandbox } from '../../../sandbox/index.ts'
import { buildProgram, PROGRAM_FILE } from '../../../services/watcher/extract/build-program.ts'
import { createExtractor, type Extractor } from '../../../services/watcher/extract/extractor.ts'
import { createSend } from '../../../services/watcher/send/channels.ts'
import { compose } from '../../../services/watcher/send/compose.ts'

const signal = AbortSignal.timeout(600_000)

describe('watcher: pages of strangers', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let extractor: Extractor
  let impatient: Extractor
  before(async () => {
    sandbox = createSandbox({ warm: 1, lazy: true })
    await sandbox.start()
    extractor = createExtractor(sandbox)
    impatient = createExtractor(sandbox, 1_000)
  })
  after(async () => {
    await Promise.all([extractor?.close(), impatient?.close()])
    await sandbox?.stop()
  })

  it('are read by CSS, XPath, JSON path and regex', async () => {
    const html = `<!doctype html><!-- no --><table><tr class=a><td><a href="/1?a=1&amp;b=2">One &mdash; 1</a><td>1 234,50 BYN
      <tr class=a><td><a href=/2>Two</a><td>Free</table>`
    const expected = [
      { name: 'One — 1', link: '/1?a=1&b=2', price: '1234.50' },
      { name: 'Two', link: '/2', price: '' }
    ]
    const css = {
      name: { css: 'a' },
      link: { css: 'a', attribute: 'href' },
      price: { css: 'td:nth-child(2)', as: 'number' as const }
    }
    const xpath = {
      name: { xpath: './/a' },
      link: { xpath: 'td/a/@href' },
      price: { xpath: 'string(td[2])', as: 'number' as const }
    }
    deepEqual(await extractor.items([html], { type: 'html', rows: { css: 'tr.a' }, fields: css }, signal), [
      expected
    ])
    deepEqual(
      await extractor.items(
        [html],
        { type: 'html', rows: { xpath: '//tr[@class = "a"]' }, fields: xpath },
        signal
      ),
      [expected]
    )
    const json = JSON.stringify({ list: [{ 'full name': 'Ann', age: 7 }, { age: null }] })
    const path = { name: { path: "['full name']" }, age: { path: 'age' } }
    deepEqual(
      await extractor.items([json], { type: 'json', rows: { path: '$.list[*]' }, fields: path }, signal),
      [
        [
          { name: 'Ann', age: '7' },
          { name: '', age: '' }
        ]
      ]
    )
    // of RFC 9535, the examples in 1.5 with what it says that they select
    const { store } = {
      store: {
        book: [
          { category: 'reference', title: 'Sayings of the Century', price: 8.95 },
          { category: 'fiction', title: 'Sword of Honour', price: 12.99 },
          { category: 'fiction', title: 'Moby Dick', isbn: '0-553-21311-3', price: 8.99 }
        ],
        'red-bicycle': { price: 399 }
      }
    }
    const titles = async (rows: string) =>
      (
        await extractor.items(
          [JSON.stringify({ store })],
          {
            type: 'json',
            rows: { path: rows },
            fields: { title: { path: '$.title' }, price: { path: 'price' } }
          },
          signal
        )
      )[0]!.map(({ title, price }) => title || price)
    deepEqual(
      await Promise.all(
        [
          '$..book[2]',
          '$..book[-1]',
          '$..book[0,1]',
          '$..book[:2]',
          '$..book[?@.isbn]',
          '$..book[?@.price<10]',
          "$..book[?match(@.category, 'f.*') && @.price > 10]",
          'store.red-bicycle',
          "store['red-bicycle']"
        ].map(titles)
      ),
      [
        ['Moby Dick'],
        ['Moby Dick'],
        ['Sayings of the Century', 'Sword of Honour'],
        ['Sayings of the Century', 'Sword of Honour'],
        ['Moby Dick'],
        ['Sayings of the Century', 'Moby Dick'],
        ['Sword of Honour'],
        ['399'],
        ['399']
      ]
    )
    const text = { name: { regex: '^(\\w+)=' }, value: { regex: '=(.*)$', as: 'lower' as const } }
    deepEqual(
      await extractor.items(
        ['a=B;\nc=D;'],
        { type: 'text', rows: { regex: '(\\w=\\w);' }, fields: text },
        signal
      ),
      [
        [
          { name: 'a', value: 'b' },
          { name: 'c', value: 'd' }
        ]
      ]
    )
  })

  it('cost a deadline, and the next page is read', async () => {
    const rule = (selector: object) => ({
      type: 'html' as const,
      rows: selector,
      fields: { a: { css: 'b' } }
    })
    for (const [page, rows] of [
      ['<div>'.repeat(100_000), { css: 'div div div p' }],
      [`${'a'.repeat(40)}!`, { regex: '^(a+)+$' }]
    ] as const)
      await rejects(impatient.items([page], rule(rows), signal), {
        name: 'ExtractionError',
        message: /timeout/
      })
    deepEqual(await extractor.items(['<p><b>x</b>'], rule({ css: 'p' }), signal), [[{ a: 'x' }]])
    for (const wrong of [{ css: 'p[' }, { xpath: '//p[' }, { regex: '(' }, { path: '$.a b' }])
      await rejects(extractor.items(['<p>'], rule(wrong), signal), { name: 'ExtractionError' })
  })

  it('leave nothing for the next one, wherever it comes from', async () => {
    const fresh = createExtractor(sandbox)
    const extractions = [
      { type: 'html', rows: { css: 'p' }, fields: { a: { css: 'b' }, b: { css: 'b', attribute: 'title' } } },
      { type: 'html', rows: { xpath: '//p' }, fields: { a: { xpath: 'b' }, b: { xpath: 'b/@title' } } },
      { type: 'text', rows: { regex: '<p>(.*?)</p>' }, fields: { a: { regex: '>(.*?)<' } } },
      { type: 'json', rows: { path: '$[*]' }, fields: { a: { path: 'b' }, b: { path: 'toString' } } }
    ] as const
    const pages = [
      '<p><b title=x>one</b></p><p __proto__=b constructor=c><b __proto__=1 toString=2 title=y>two</b></p>',
      '[{"b":1,"__proto__":{"b":"evil"}},{"__proto__":{"toString":"evil"},"constructor":{"prototype":{"b":2}}},{}]',
      '<__proto__><p><b title=z>three</b></p></__proto__><constructor prototype=1><p></p>',
      '[{}]'
    ]
    // where a question is asked after all others it has the answer that it has as the first
    const ask = (reader: Extractor, page: string, i: number) =>
      reader.items([page], extractions[i]!, signal).catch((error: Error) => error.message)
    const before = new Map<string, unknown>()
    for (const page of pages)
      for (const i of extractions.keys()) {
        const first = createExtractor(sandbox)
        before.set(`${i} ${page}`, await ask(first, page, i))
        await first.close()
      }
    for (const round of [1, 2])
      for (const page of round === 1 ? pages : pages.toReversed())
        for (const i of extractions.keys()) deepEqual(await ask(fresh, page, i), before.get(`${i} ${page}`))
    await fresh.close()
  })

  it('are read by a program that is bundled elsewhere: the bundler would stay in this process', async () => {
    const isHere = async (): Promise<boolean> =>
      (await readFile('/proc/self/maps', 'utf8')).includes('rolldown')
    const was = await isHere()
    await buildProgram()
    await utimes(PROGRAM_FILE, 1, 1)
    await rejects(buildProgram(AbortSignal.abort()), { name: 'AbortError' })
    await buildProgram()
    ok((await stat(PROGRAM_FILE)).mtimeMs > 1000)
    equal(await isHere(), was)
  })

  it('are read one after the other by one process, which does not grow', async () => {
    let opened = 0
    const counting: Sandbox = Object.assign(Object.create(sandbox), {
      open(...given: Parameters<Sandbox['open']>) {
        opened++
        return sandbox.open(...given)
      }
    })
    const reader = createExtractor(counting)
    const row = '<tr><td>a</td><td>b</td></tr>'
    const fields = { a: { css: 'td' }, b: { css: 'td:nth-child(2)' } }
    // a process that is full is ended with a failure, and one page that stayed there would be a megabyte
    for (let i = 0; i < 300; i++) {
      const page = `<table>${row.repeat(200)}</table>${i}`
      const [items] = await reader.items([page], { type: 'html', rows: { css: 'tr' }, fields }, signal)
      equal(items!.length, 200)
    }
    equal(opened, 1)
    await reader.close()
  })

  it('are read by a second process where the first is held up, and who goes while he waits leaves his place', async () => {
    let opened = 0
    const counting: Sandbox = Object.assign(Object.create(sandbox), {
      open(...given: Parameters<Sandbox['open']>) {
        opened++
        return sandbox.open(...given)
      }
    })
    const reader = createExtractor(counting)
    const extraction = { type: 'html' as const, rows: { css: 'p' }, fields: { a: { css: 'b' } } }
    const ending = new AbortController()
    const slow = { ...extraction, rows: { regex: '^(a+)+$' }, type: 'text' as const, fields: {} }
    const hanging = reader.items([`${'a'.repeat(40)}!`], slow, ending.signal)
    const leaving = new AbortController()
    const read = Array.from({ length: 8 }, (_, i) =>
      reader.items([`<p><b>${i}</b>`], extraction, i === 3 ? leaving.signal : signal)
    )
    leaving.abort()
    const results = await Promise.allSettled(read)
    deepEqual(
      results.map(result => (result.status === 'fulfilled' ? result.value[0]![0]!.a : 'left')),
      ['0', '1', '2', 'left', '4', '5', '6', '7']
    )
    equal(opened, 2)
    ending.abort()
    await rejects(hanging)
    await reader.close()
  })
})

const INJECTIONS = [
  '\r\nBcc: evil@example.org',
  '\nBcc: evil@example.org',
  '\rBcc: evil@example.org',
  '\r\n\r\nbody',
  '\r\n Bcc: evil@example.org',
  '\u2028Bcc: evil@example.org',
  '\u2029Bcc: evil@example.org',
  '\u0085Bcc: evil@example.org',
  '\u0000\nBcc: evil@example.org',
  '\v\f\r\nBcc: evil@example.org',
  '=?utf-8?Q?=0D=0ABcc:_evil@example.org?=',
  '%0d%0aBcc: evil@example.org',
  '\u560d\u560aBcc: evil@example.org',
  '\r\n.\r\nMAIL FROM:<evil@example.org>'
]

describe('watcher: mail', function () {
  this.timeout(600_000)

  it('14 injections into what stands in headers give no header', async () => {
    equal(INJECTIONS.length, 14)
    const mails: { to: string[]; text: string }[] = []
    const server = new SMTPServer({
      authOptional: true,
      hideSTARTTLS: true,
      logger: false,
      async onData(stream, { envelope }, done) {
        let text = ''
        for await (const chunk of stream) text += (chunk as Buffer).toString('latin1')
        mails.push({ to: envelope.rcptTo.map(({ address }) => address), text })
        done()
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port: smtpPort } = server.server.address() as AddressInfo
    let smtpFrom = ''
    const send = createSend({
      outbound: {} as never,
      secrets: {} as never,
      mail: () => ({ smtpHost: '127.0.0.1', smtpPort, smtpTls: 'none', smtpUser: '', smtpFrom }),
      messenger: () => undefined,
      now: Date.now
    })
    const channel = { kind: 'email' as const, to: 'ann@example.org' }
    for (const [i, text] of INJECTIONS.entries()) {
      smtpFrom = `Artel${text} <artel@example.org>`
      const fields = { [`name${text}`]: `value${text}` }
      const event = { number: 1, rule: `rule${text}`, at: 0, kind: 'new' as const, key: text, new: fields }
      const subscription = `mine${text}`
      await send(channel, { kind: 'events', subscription, events: [event] }, `id-${i}`, signal)
      await send(
        channel,
        { kind: 'broken', subscription, rule: `rule${text}`, reason: text, events: [] },
        `b-${i}`,
        signal
      )
    }
    await new Promise<void>(resolve => server.close(() => resolve()))
    equal(mails.length, 28)
    const NAMES = /^(from|to|subject|message-id|content-transfer-encoding|content-type|date|mime-version)$/
    for (const { to, text } of mails) {
      deepEqual(to, ['ann@example.org'])
      const [head] = text.split('\r\n\r\n')
      const names = head!
        .replace(/\r\n[ \t]+/g, ' ')
        .split('\r\n')
        .map(line => line.split(':')[0]!.toLowerCase())
      ok(
        names.every(name => NAMES.test(name)),
        names.join()
      )
    }
  })

  it('and tags in what was read are text', () => {
    const evil = '<img src=x onerror=alert(1)>"\'&'
    const { html } = compose({
      kind: 'events',
      subscription: 's',
      events: [{ number: 1, rule: evil, at: 0, kind: 'changed', key: 'k', old: { a: 'x' }, new: { a: evil } }]
    })
    ok(!html.includes('<img') && html.includes('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;'))
  })
})
