import { deepEqual, equal, match, notEqual, ok, rejects } from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { CHROMIUM } from '../../../node/demo/browser-tabs.ts'
import { createCdp } from '../../../services/outbound/browser/cdp.ts'
import { withBrowser } from '../../../services/outbound/browser/with-browser.ts'
import { createOutbound } from '../../../services/outbound/create-outbound.ts'
import type { Outbound } from '../../../services/outbound/index.ts'

const signal = AbortSignal.timeout(600_000)

/** What a page does that wants to reach this machine; `done` is written when all of it has come to an end. */
const ATTACK = (port: number, udp: number): string => `<!doctype html><title>Hostile</title><p id="said"></p>
<link rel="preconnect" href="http://127.0.0.1:${port}"><link rel="prefetch" href="http://127.0.0.1:${port}/prefetch">
<iframe src="file:///etc/passwd"></iframe><iframe src="http://[::ffff:127.0.0.1]:${port}/frame"></iframe>
<script>
const hosts = ['127.0.0.1:${port}', 'localhost:${port}', '0x7f.1:${port}', '2130706433:${port}', '[::1]:${port}', '0.0.0.0:${port}', 'inside.example', 'localhost']
const tries = hosts.flatMap(host => [
  fetch('http://' + host + '/fetch', { mode: 'no-cors' }),
  fetch('/to?' + encodeURIComponent('http://' + host + '/redirect'), { mode: 'no-cors' }),
  new Promise(resolve => { const image = new Image(); image.onload = image.onerror = resolve; image.src = 'http://' + host + '/image' }),
  new Promise(resolve => { const socket = new WebSocket('ws://' + host + '/socket'); socket.onopen = socket.onerror = resolve }),
  new Promise(resolve => { const events = new EventSource('http://' + host + '/events'); events.onopen = events.onerror = resolve }),
  navigator.sendBeacon('http://' + host + '/beacon')
])
const peer = new RTCPeerConnection({ iceServers: [{ urls: 'stun:127.0.0.1:${udp}' }] })
peer.createDataChannel('x')
tries.push(peer.createOffer().then(offer => peer.setLocalDescription(offer)))
// who finds no way looks for one for long
tries.push(new Promise(resolve => { peer.onicecandidate = event => event.candidate ?? resolve(); setTimeout(resolve, 3_000) }))
window.open('http://127.0.0.1:${port}/window')
Promise.allSettled(tries).then(() => { document.getElementById('said').textContent = 'done' })
</script>`

describe('outbound: Chromium', function () {
  this.timeout(600_000)
  const names: string[] = []
  const reached: IncomingMessage[] = []
  const packets: Buffer[] = []
  const inside = createServer((request, response) => {
    reached.push(request)
    response.end('inside')
  })
  const stun = createSocket('udp4', packet => packets.push(packet))
  const site = createServer((request, response) => {
    const { pathname, search } = new URL(request.url!, 'http://site')
    if (pathname === '/robots.txt') response.end('User-agent: *\nDisallow: /private\n')
    else if (pathname === '/to')
      response.writeHead(302, { location: decodeURIComponent(search.slice(1)) }).end()
    else if (pathname === '/large') response.end(Buffer.alloc(25_000_000, 'a'))
    else response.writeHead(200, { 'content-type': 'text/html' }).end(pages[pathname])
  })
  const pages: Record<string, string> = {
    '/made':
      '<p id="a">no</p><script>setTimeout(() => { document.getElementById("a").textContent = "made by a program" }, 50)</script>',
    '/memory':
      '<script>const all = []; setInterval(() => { for (let i = 0; i < 4; i++) all.push(new Uint8Array(1 << 24).fill(1)) })</script>',
    '/endless': '<p>here</p><script>for (;;);</script>',
    '/bytes': '<script src="/large"></script>',
    '/long':
      '<p id="a" hidden></p><script>document.getElementById("a").textContent = "a".repeat(21_000_000)</script>'
  }
  let outbound: Outbound
  let url: string
  before(async () => {
    await new Promise<void>(resolve => inside.listen(0, '127.0.0.1', resolve))
    await new Promise<void>(resolve => stun.bind(0, '127.0.0.1', resolve))
    await new Promise<void>(resolve => site.listen(0, '127.0.0.1', resolve))
    const host = `127.0.0.1:${(site.address() as AddressInfo).port}`
    url = `http://${host}`
    pages['/attack'] = ATTACK((inside.address() as AddressInfo).port, stun.address().port)
    outbound = createOutbound({
      // the second is open for somebody else's rule
      openHosts: () => [host, `127.0.0.1:${(inside.address() as AddressInfo).port}`],
      gapMs: () => 0,
      chromium: () => CHROMIUM,
      async resolve(name) {
        names.push(name)
        return ['127.0.0.1']
      }
    })
  })
  after(async () => {
    await outbound?.close()
    stun.close()
    for (const server of [inside, site]) {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  })

  const html = (path: string, deadlineMs?: number): Promise<string> =>
    outbound.browse(url + path, { signal, deadlineMs }, async tab => {
      await tab.open(url + path)
      // its memory grows while it is looked at
      if (path === '/memory') await tab.waitFor('#never')
      return tab.html()
    })

  it('shows what a page makes of itself, behind a sandbox and in a network of its own', async () => {
    const text = await outbound.browse(`${url}/made`, { signal }, async tab => {
      equal(await tab.open(`${url}/made`), 200)
      await tab.expectText('made by a program')
      const renderer = processes().filter(({ command }) => command.includes('--type=renderer'))
      ok(renderer.length > 0)
      for (const { pid, status } of renderer) {
        match(status, /^Seccomp:\s+2$/m)
        match(status, /^CapEff:\s+0+$/m)
        for (const kind of ['net', 'pid', 'user', 'mnt'])
          notEqual(readlinkSync(`/proc/${pid}/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`), kind)
      }
      return tab.html()
    })
    match(text, /<p id="a">made by a program<\/p>/)
    deepEqual(processes(), [])
    await rejects(html('/private'), { name: 'UnwelcomeError' })
    await rejects(html('/to?http%3A%2F%2Finside.example%2F'), { name: 'ForbiddenAddressError' })
  })

  it('reaches nothing inside, whatever a page tries, and speaks to nobody of its own accord', async () => {
    names.length = 0
    await outbound.browse(`${url}/attack`, { signal }, async tab => {
      await tab.open(`${url}/attack`)
      await tab.expectText('done')
    })
    deepEqual(
      reached.map(({ url }) => url),
      []
    )
    equal(packets.length, 0)
    deepEqual([...new Set(names)].sort(), ['inside.example', 'localhost'])
  })

  it('ends with its time, memory, bytes', async () => {
    await rejects(html('/endless', 5_000), { name: 'FetchOverdueError' })
    for (const [path, what] of [
      ['/memory', /memory/],
      ['/bytes', /loads more/],
      ['/long', /characters/]
    ] as const)
      await rejects(html(path), { name: 'FetchTooLongError', message: what }, path)
    deepEqual(processes(), [])
  })

  it('is not started for who has gone, and what it says wrongly ends it alone', async () => {
    const init = { chromium: CHROMIUM, allowed: () => [], resolve: async () => [], maxBytes: 1 }
    const gone = AbortSignal.abort(new Error('gone'))
    await rejects(
      withBrowser({ ...init, signal: gone }, async () => {}),
      /gone/
    )
    for (const said of ['{"method":"a"}', '{"id":1,"error":{}}', '{"id":1,"error":7}', 'no']) {
      const from = new PassThrough()
      const wild = Promise.withResolvers<Error>()
      const cdp = createCdp({ to: new PassThrough(), from }, { maxBytes: 1_000, onWild: wild.resolve })
      cdp.on('a', ({ frameId }: { frameId: string }) => frameId)
      cdp.send('b').catch(() => {})
      from.write(`${said}\0`)
      match((await wild.promise).message, /no message/, said)
    }
  })

  it('is off where nobody has named it, and says what is missing', async () => {
    for (const chromium of ['', '/usr/bin/no-such-program', '/etc/passwd']) {
      const other = createOutbound({
        openHosts: () => [new URL(url).host],
        chromium: () => chromium,
        gapMs: () => 0
      })
      await rejects(
        other.browse(url, { signal }, async () => {}),
        { name: 'BrowserError' }
      )
      await other.close()
    }
  })
})

/** Those of Chromium that this process has started. */
function processes(): { pid: string; command: string; status: string }[] {
  const all = readdirSync('/proc').flatMap(pid => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return [{ pid, command, status, parent: /^PPid:\s+(\d+)/m.exec(status)![1]! }]
    } catch {
      return [] // no process, or it has ended
    }
  })
  const found = new Set([String(process.pid)])
  for (let size = 0; size < found.size; ) {
    size = found.size
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid)
  }
  return all.filter(({ pid, command }) => found.has(pid) && command.includes('chromium'))
}
