import { deepEqual, equal, ok, rejects } from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { isGlobal } from '../../../services/outbound/addresses.ts'
import { createOutbound } from '../../../services/outbound/create-outbound.ts'
import type { Outbound } from '../../../services/outbound/index.ts'
import { readRobots } from '../../../services/outbound/robots.ts'
import { readTarget } from '../../../services/outbound/target.ts'
import { createTurns, mannersAfter } from '../../../services/outbound/turns.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A site on loopback, which counts who reached it. */
async function site(answer: Answer) {
  const seen: IncomingMessage[] = []
  const server = createServer((request, response) => {
    seen.push(request)
    answer(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    seen,
    port,
    host: `127.0.0.1:${port}`,
    url: (path = '/') => `http://127.0.0.1:${port}${path}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

const signal = AbortSignal.timeout(600_000)
const plain = { signal, isRobot: false }
const DATES = ['Mon, 30 Nov 2026 12:00:00 GMT', 'Mon, 30 Nov 2026 12:00:01 GMT'] as const

/** Ways to write an address inside, each of which some program out there takes. */
const INSIDE = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0x7f.0x0.0x0.0x1',
  '0177.0.0.1',
  '017700000001',
  '①②⑦.0.0.1',
  '127。0。0。1',
  '１２７．０．０．１',
  '%31%32%37.0.0.1',
  '127.0.0.1.',
  '0',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '100.64.0.1',
  '192.0.0.8',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.7',
  '203.0.113.9',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::a00:1]',
  '[64:ff9b:1::1]',
  '[2002:7f00:1::]',
  '[2001:0:7f00:1::]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[fc00::1]',
  '[fd12:3456::1]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[100::1]'
]

describe('outbound: what is inside is not reached', function () {
  this.timeout(600_000)
  let outbound: Outbound
  before(() => {
    outbound = createOutbound()
  })
  after(() => outbound.close())

  it('in none of its spellings', async () => {
    for (const host of INSIDE)
      await rejects(outbound.fetch(`http://${host}/`, plain), { name: 'ForbiddenAddressError' }, host)
    for (const address of [
      '8.8.8.8',
      '93.184.215.14',
      '2606:4700::1111',
      '::ffff:8.8.8.8',
      '64:ff9b::808:808'
    ])
      ok(isGlobal(address), address)
  })

  it('by no other protocol, port, or with a password in the address', () => {
    for (const text of [
      'file:///etc/passwd',
      'ftp://example.org/',
      'gopher://example.org/',
      'http://example.org:22/',
      'https://example.org:80/',
      'http://user:word@example.org/',
      'http://',
      'no address'
    ])
      try {
        readTarget(text, [])
        throw new Error(`${text} was taken`)
      } catch (error) {
        equal((error as Error).name, 'ForbiddenAddressError', text)
      }
    equal(readTarget('https://example.org:443/a', []).href, 'https://example.org/a')
    equal(readTarget('http://10.0.0.1:8080/', ['10.0.0.1:8080']).port, '8080')
  })

  it('by a name that leads inside, also among others, and also later', async () => {
    await using server = await site((_, response) => response.end('inside'))
    let asked = 0
    const answers = [['127.0.0.1'], ['93.184.215.14', '127.0.0.1'], ['::1']]
    const rebinding = createOutbound({ resolve: async () => answers[asked++]! })
    for (const _ of answers)
      await rejects(rebinding.fetch('http://a.example/', plain), { name: 'ForbiddenAddressError' })
    // once each: there is no second look-up that could say something else
    equal(asked, answers.length)
    equal(server.seen.length, 0)
    await rebinding.close()
  })

  it('by a redirect; and not on for ever', async () => {
    await using inside = await site((_, response) => response.end('inside'))
    await using server = await site(({ url }, response) => {
      if (url === '/in') response.writeHead(302, { location: inside.url() })
      else if (url === '/name') response.writeHead(301, { location: 'http://localhost/' })
      else if (url === '/file') response.writeHead(301, { location: 'file:///etc/passwd' })
      else if (url === '/5') response.writeHead(200)
      else response.writeHead(307, { location: `/${url === '/loop' ? 'loop' : Number(url!.slice(1)) + 1}` })
      response.end()
    })
    const open = createOutbound({ openHosts: () => [server.host] })
    for (const path of ['/in', '/name', '/file'])
      await rejects(open.fetch(server.url(path), plain), { name: 'ForbiddenAddressError' }, path)
    equal(inside.seen.length, 0)
    equal((await open.fetch(server.url('/0'), plain)).url, server.url('/5'))
    server.seen.length = 0
    await rejects(open.fetch(server.url('/loop'), plain), { name: 'FetchError' })
    equal(server.seen.length, 6)
    await open.close()
  })
})

describe('outbound: what a site may cost', function () {
  this.timeout(600_000)

  it('bytes after decompression, time, headers', async () => {
    const bomb = gzipSync(new Uint8Array(5_000_000))
    await using server = await site(({ url }, response) => {
      if (url === '/bomb') response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
      else if (url === '/twice') response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end(bomb)
      else if (url === '/cut')
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb.subarray(0, 99))
      else if (url === '/headers') response.writeHead(200, { 'x-a': 'a'.repeat(100_000) }).end()
      else if (url === '/slow') response.writeHead(200).write('a')
    })
    const open = createOutbound({ openHosts: () => [server.host] })
    const fetch = (path: string) =>
      open.fetch(server.url(path), {
        ...plain,
        maxBytes: 1_000_000,
        deadlineMs: path === '/slow' ? 300 : 60_000
      })
    ok(bomb.byteLength < 10_000)
    await rejects(fetch('/bomb'), { name: 'FetchTooLongError' })
    await rejects(fetch('/twice'), { name: 'FetchError' })
    await rejects(fetch('/cut'), { name: 'FetchError' })
    await rejects(fetch('/headers'), { name: 'FetchError' })
    await rejects(fetch('/slow'), { name: 'FetchOverdueError' })
    await open.close()
  })

  it('secrets of one site are not shown to another', async () => {
    await using other = await site((_, response) => response.end('other'))
    await using server = await site((_, response) => response.writeHead(302, { location: other.url() }).end())
    const open = createOutbound({ openHosts: () => [server.host, other.host] })
    await open.fetch(server.url(), { ...plain, headers: { Authorization: 'secret', accept: 'text/html' } })
    equal(server.seen[0]!.headers.authorization, 'secret')
    equal(other.seen[0]!.headers.authorization, undefined)
    equal(other.seen[0]!.headers.accept, 'text/html')
    await open.close()
  })
})

describe('outbound: manners', function () {
  this.timeout(600_000)

  it('one at a time per host, robots.txt, Retry-After', async () => {
    let inside = 0
    let most = 0
    await using server = await site(async ({ url }, response) => {
      if (url === '/robots.txt') return response.end('User-agent: *\nDisallow: /private\n')
      if (url === '/busy') return response.writeHead(429, { 'retry-after': '7200' }).end()
      most = Math.max(most, ++inside)
      await new Promise(resolve => setTimeout(resolve, 20))
      inside--
      response.end(url)
    })
    const open = createOutbound({ openHosts: () => [server.host], gapMs: () => 0 })
    await Promise.all([1, 2, 3, 4].map(page => open.fetch(server.url(`/${page}`), { signal })))
    equal(most, 1)
    await rejects(open.fetch(server.url('/private/1'), { signal }), { name: 'UnwelcomeError' })
    deepPaths(server.seen, ['/robots.txt', '/1', '/2', '/3', '/4'])
    equal((await open.fetch(server.url('/busy'), { signal })).status, 429)
    await rejects(open.fetch(server.url('/1'), { signal }), { name: 'UnwelcomeError' })
    deepPaths(server.seen, ['/robots.txt', '/1', '/2', '/3', '/4', '/busy'])
    await open.close()
  })

  it('of robots.txt the groups for us and for all count, and none costs more than its length', () => {
    const read = (text: string) => readRobots('http://a.example/robots.txt', 200, text, 0)
    const may = (text: string, path: string) => read(text).isAllowed(`http://a.example${path}`)
    const both =
      'User-Agent: *\rDisallow: /\n\n# ours\nuser-agent: Bot\nUSER-AGENT: Artel/2.0 # us\r\nAllow: /\nDisallow: /x*y$'
    deepEqual([may(both, '/a'), may(both, '/x1y'), may(both, '/x1yz')], [true, false, true])
    const others = 'user-agent: bot\ndisallow: /\nuser-agent: *\ncrawl-delay: 7\ndisallow: /z\nsitemap: /'
    deepEqual([may(others, '/a'), may(others, '/z'), read(others).delayMs], [true, false, 7000])
    // for each of its agents each of its rules: 9 · 10^8
    const many = `${Array.from({ length: 30_000 }, (_, i) => `user-agent:${i.toString(36)}\nuser-agent:*\n`).join('')}${'allow:/\n'.repeat(30_000)}disallow:/b`
    deepEqual([may(many, '/a'), may(many, '/b')], [true, false])
    // 64,000 places for each of 480,000 characters: who has such rules is not read at such an address
    const wild = `user-agent: *\nallow: /${'*'.repeat(480_000)}`
    deepEqual([may(wild, '/a'), may(wild, `/${'a'.repeat(64_000)}`)], [true, false])
  })

  it('of what hosts say to robots the newest is kept, and not without end', async () => {
    const rules = `user-agent: *\n${'allow:/\n'.repeat(60_000)}`
    const answer: Answer = ({ url }, response) => response.end(url === '/robots.txt' ? rules : 'page')
    await using one = await site(answer)
    await using two = await site(answer)
    await using three = await site(answer)
    const sites = [one, two, three]
    const open = createOutbound({ openHosts: () => sites.map(({ host }) => host), gapMs: () => 0 })
    for (const each of [one, two, three, three, one]) await open.fetch(each.url('/1'), { signal })
    deepPaths(three.seen, ['/robots.txt', '/1', '/1'])
    deepPaths(one.seen, ['/robots.txt', '/1', '/robots.txt', '/1'])
    await open.close()
  })

  it('a copy that is still right need not come again, and is asked for at its own address alone', async () => {
    await using server = await site(({ url, headers }, response) => {
      const isKnown = headers['if-none-match'] === '"a"' || headers['if-modified-since'] != null
      if (url === '/moved') return response.writeHead(302, { location: '/dated' }).end()
      // some name the coding that the body would have
      if (isKnown) return response.writeHead(304, { 'content-encoding': 'gzip' }).end()
      const versions: Record<string, object> = {
        '/named': { etag: '"a"', 'last-modified': DATES[0] },
        '/dated': { date: DATES[1], 'last-modified': DATES[0] },
        // it may change again within its second
        '/new': { date: DATES[0], 'last-modified': DATES[0] },
        '/wrong': { etag: 'a' }
      }
      response.writeHead(200, { ...versions[url!] }).end('text')
    })
    const open = createOutbound({ openHosts: () => [server.host] })
    const [named, dated] = [server.url('/named'), server.url('/dated')]
    const of = (path: string) => open.fetch(server.url(path), plain)
    deepEqual((await of('/named')).validators, { url: named, etag: '"a"' })
    deepEqual((await of('/moved')).validators, { url: dated, lastModified: DATES[0] })
    for (const path of ['/new', '/wrong', '/']) equal((await of(path)).validators, undefined)
    const known = { url: dated, lastModified: DATES[0] }
    const again = await open.fetch(server.url('/moved'), { ...plain, known })
    deepEqual([again.status, again.url, again.bytes.length], [304, dated, 0])
    equal((await open.fetch(named, { ...plain, known })).status, 200)
    equal((await open.fetch(named, { ...plain, known: { url: named, etag: '"a"' } })).status, 304)
    await open.close()
  })

  it('waits longer each time where a host refuses without saying how long', () => {
    const at = (refusals: number, retryAfter?: string) =>
      mannersAfter({ notBefore: 0, refusals }, { status: 503, retryAfter, now: 0, gapMs: 30_000 }).notBefore
    equal(at(0), 60_000)
    equal(at(3), 480_000)
    equal(at(0, '120'), 120_000)
    // no shorter than the usual pause, no longer than six hours
    equal(at(0, '1'), 30_000)
    equal(at(99), 6 * 3_600_000)
    equal(at(0, new Date(90_000).toUTCString()), 90_000)
  })

  it('who gives up while it waits holds up nobody', async () => {
    const turns = createTurns()
    const first = Promise.withResolvers<void>()
    const usual = { gapMs: 0, signal }
    const one = turns.take('a', usual, () => first.promise)
    const gone = turns.take('a', { gapMs: 0, signal: AbortSignal.timeout(5) }, async () => 'gone')
    const three = turns.take('a', usual, async () => 'three')
    await rejects(gone, { name: 'TimeoutError' })
    first.resolve()
    await one
    equal(await three, 'three')
  })
})

function deepPaths(seen: readonly IncomingMessage[], paths: string[]): void {
  equal(seen.map(({ url }) => url).join(' '), paths.join(' '))
}
