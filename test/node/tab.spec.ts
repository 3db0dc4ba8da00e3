import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { type ArtelNode, createNode, loadConfig } from '../../node/index.ts'
import { until } from '../bootstrap/nodes.ts'
import { createCanary } from '../sandbox/canary.ts'
import { hostilePrograms } from '../sandbox/hostile-programs.ts'
import { launchChromium } from '../services/browser.ts'

const BUILT = fileURLToPath(new URL('../../services/gateway/ui/dist/volunteer.html', import.meta.url))
const WAIT_MS = 240_000
/** What a browser has and strangers' code must not have. */
const HOST_NAMES =
  'fetch XMLHttpRequest WebSocket EventSource WebTransport Worker SharedWorker indexedDB caches localStorage \
sessionStorage cookieStore navigator location self window parent top opener document postMessage onmessage importScripts \
close MessageChannel BroadcastChannel Blob URL crypto performance setTimeout queueMicrotask addEventListener WebAssembly \
SharedArrayBuffer artelTake'

describe('node: a tab that lends', () => {
  let folder: string
  let node: ArtelNode
  let chromium: Browser

  before(async () => {
    assert.ok(existsSync(BUILT), 'the page is not built: npm run build:ui')
    folder = await mkdtemp(join(tmpdir(), 'artel-tab-'))
    const flags = { data: folder, compute: false, logLevel: 'silent', 'gateway.port': 0 }
    const config = loadConfig({
      environment: {},
      flags: { ...flags, 'gateway.enabled': true, 'gateway.volunteers': true, trustedPeers: ['*'] }
    })
    node = await createNode(config, { founds: true })
    chromium = await launchChromium()
  })

  after(async () => {
    await chromium?.close()
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  afterEach(() => Promise.all(chromium.contexts().map(context => context.close())))

  const tabs = (): string[] =>
    node.scheduler.workers().flatMap(each => (each.class.startsWith('chrome-') ? [each.peer] : []))

  const open = async (options?: BrowserContextOptions): Promise<Page> => {
    const context = await chromium.newContext(options)
    context.setDefaultTimeout(WAIT_MS)
    const page = await context.newPage()
    await page.goto(`${node.gateway!.url}/volunteer`)
    return page
  }
  const lend = async (options?: BrowserContextOptions): Promise<Page> => {
    const page = await open(options)
    await page.getByRole('button', { name: 'Lend this tab' }).click()
    await page.getByText('Connected').waitFor()
    return page
  }

  const run = async (spec: object): Promise<unknown> => {
    const job = await node.submit({ ...spec, verify: 'quorum:2' })
    const result = await job.result({ signal: AbortSignal.timeout(WAIT_MS) })
    const { shares } = await job.settled()
    assert.ok(
      shares.some(({ worker }) => tabs().includes(worker)),
      'a tab took part'
    )
    return result
  }

  it('lends nothing before it is asked; then computes what others do, to the bit, and is paid', async () => {
    const page = await open()
    assert.equal(await page.getByRole('status').textContent(), 'Nothing is lent.')
    await page.getByRole('button', { name: 'Lend this tab' }).click()
    await until(() => tabs().length === 1, 'the tab is a worker', WAIT_MS)
    const fn = 'x => Math.sin(x) * Math.exp(x / 3000) + x ** 0.3 + Math.random()'
    const job = await node.submit({ type: 'map', range: { start: 1, end: 3000 }, fn, verify: 'quorum:2' })
    await job.result({ signal: AbortSignal.timeout(WAIT_MS) })
    const { shares, verification } = await job.settled()
    const [tab] = tabs()
    const share = shares.find(({ worker }) => worker === tab)
    assert.equal(share?.units, 3000)
    assert.ok(verification!.compared > 0)
    await until(
      async () => (await page.locator('[data-meter=slices]').textContent()) === `${share!.slices}`,
      'the meter shows what was done',
      WAIT_MS
    )
    assert.equal(await page.locator('[data-meter=account]').textContent(), tab)
    assert.equal((await node.ledger.balance(tab!)).available, share!.paid)

    // what tells the tab that it may work on for this requester
    const escrows = async (of: string): Promise<unknown> =>
      (await fetch(`${node.gateway!.url}/volunteer/escrows?of=${of}`)).json()
    const [escrow] = (await escrows(`${node.id}/${job.id}`)) as { isOpen: boolean }[]
    assert.equal(escrow?.isOpen, false)
    assert.deepEqual(await escrows(`${node.id}/none`), [null])
    assert.equal(((await escrows('../x')) as { title: string }).title, 'RequestError')
  })

  it('shows a hostile program neither network nor storage nor the page, and outlives it', async () => {
    const calls: string[] = []
    const canary = createServer((request, answer) => {
      calls.push(`${request.url}`)
      answer.end()
    }).listen(0, '127.0.0.1')
    try {
      const page = await lend()
      const found = await run({
        type: 'map',
        items: HOST_NAMES.split(' '),
        fn: `name => {
          const ways = [
            () => globalThis[name],
            () => Object.getPrototypeOf(globalThis)[name],
            () => (() => {}).constructor('name', 'return self[name]')(name),
            () => Reflect.get(globalThis.__proto__.__proto__ ?? {}, name)
          ]
          return ways.filter(way => {
            try {
              return way() !== undefined
            } catch {
              return false
            }
          }).length
        }`
      })
      assert.deepEqual(
        found,
        HOST_NAMES.split(' ').map(() => 0)
      )

      // were all of that not so, the frame that the Workers are of would still reach nothing
      const { port } = canary.address() as AddressInfo
      const walls = page.frames().find(frame => frame.url().endsWith('/walls.html'))!
      const reached = await walls.evaluate(async url => {
        const ways: Record<string, () => unknown> = {
          fetch: () => fetch(url, { mode: 'no-cors' }),
          image: () =>
            new Promise((resolve, reject) => {
              const image = new Image()
              image.onload = resolve
              image.onerror = reject
              image.src = url
            }),
          socket: () =>
            new Promise((resolve, reject) => {
              const socket = new WebSocket(url.replace('http', 'ws'))
              socket.onopen = resolve
              socket.onerror = reject
            }),
          script: () => import(/* @vite-ignore */ url),
          storage: () => localStorage.length,
          database: () => indexedDB.open('artel').readyState,
          page: () => parent.document.title,
          cookie: () => document.cookie
        }
        const held = await Promise.all(
          Object.entries(ways).map(async ([name, way]) => {
            try {
              await way()
              return [name]
            } catch {
              return []
            }
          })
        )
        return held.flat()
      }, `http://127.0.0.1:${port}/`)
      assert.deepEqual(reached, [])
      assert.deepEqual(calls, [])

      // a loop without an end is ended with its Worker, and the tab goes on
      const spec = { type: 'map', items: [1, 2, 3, 4], fn: 'x => { for (;;) x++ }', deadline: 3000 }
      const loop = await node.submit(spec)
      await assert.rejects(loop.result({ signal: AbortSignal.timeout(WAIT_MS) }), { name: 'JobExpiredError' })
      assert.deepEqual(await run({ type: 'map', items: [1, 2], fn: 'x => x + 1' }), [2, 3])
    } finally {
      canary.close()
    }
  })

  it('lets no program of the corpus of escapes get hold of anything', async () => {
    const canary = await createCanary()
    try {
      await lend()
      await until(() => tabs().length === 1, 'the tab is a worker', WAIT_MS)
      // the others have no answer, so no browser gives one
      const escapes = hostilePrograms.escapes!.filter(({ program }) =>
        `${program.source}`.startsWith('async')
      )
      const ends = await Promise.all(
        escapes.map(async ({ name, program }) => {
          const job = await node.submit({
            type: 'map',
            items: [1],
            // what fails is no answer of a browser's, so it says so by itself
            fn: `async () => { const context = bait; try { return await (${program.source})() } catch { return 'nothing' } }`,
            context: { bait: canary.bait },
            requirements: { tags: ['browser'] },
            verify: 'none',
            deadline: WAIT_MS
          })
          const end = await job.result({ signal: AbortSignal.timeout(WAIT_MS) }).then(
            value => (value as unknown[])[0],
            (error: Error) => error.name
          )
          return { name, end }
        })
      )
      assert.deepEqual(
        ends.filter(({ end }) => end !== 'nothing'),
        []
      )
      // Chromium is a process of this test
      assert.deepEqual(
        canary.trips('').filter(trip => !trip.startsWith('a process')),
        []
      )
    } finally {
      await canary.close()
    }
  })

  it('gives the same wherever the browser is, and whatever its language', async () => {
    const page = await lend({ timezoneId: 'Asia/Kolkata', locale: 'de-DE' })
    assert.equal(await page.evaluate(() => `${new Date(0).getHours()} ${(1.5).toLocaleString()}`), '5 1,5')
    const found = await run({
      type: 'map',
      items: [0, 951782400000],
      fn: `ms => {
        const date = new Date(ms)
        const words = [date, date.toLocaleString(), date.getHours(), date.getTimezoneOffset(), (1.5).toLocaleString()]
        return [...words, Date.parse('2000-01-01T00:00'), new Date(2000, 0).getTime(), ['b', 'ä', 'a'].sort((a, b) => a.localeCompare(b))].join()
      }`
    })
    const zone = 'GMT+0000 (Coordinated Universal Time)'
    const rest = '0,0,1.5,946684800000,946684800000,a,b,ä'
    assert.deepEqual(
      found,
      ['Thu Jan 01 1970 00:00:00', 'Tue Feb 29 2000 00:00:00'].map(
        time => `${time} ${zone},${time} ${zone},${rest}`
      )
    )
    // where the scripts of a Worker are is told to nobody: who reads it is left to others
    const job = await node.submit({
      type: 'map',
      items: [1],
      fn: "x => new Error('no').stack",
      requirements: { tags: ['browser'] },
      verify: 'none',
      deadline: 3000
    })
    await assert.rejects(job.result({ signal: AbortSignal.timeout(WAIT_MS) }), { name: 'JobExpiredError' })
  })

  it('loses nothing when five of ten tabs are closed in the middle', async () => {
    const pages = await Promise.all(Array.from({ length: 10 }, () => lend()))
    await until(() => tabs().length === 10, 'ten tabs are workers', WAIT_MS)
    const fn = 'x => { let sum = 0; for (let i = 0; i < 20000; i++) sum += (x * i) % 7; return sum }'
    const job = await node.submit({ type: 'range_reduce', start: 1, end: 4000, map: fn, operation: 'sum' })
    await until(() => job.report().done > 400, 'some of it is done', WAIT_MS)
    await Promise.all(pages.slice(0, 5).map(page => page.context().close()))
    const period = [0, 1, 2, 3, 4, 5, 6].map(x => {
      let sum = 0
      for (let i = 0; i < 20000; i++) sum += (x * i) % 7
      return sum
    })
    const expected = Array.from({ length: 4000 }, (_, i) => period[(i + 1) % 7]!).reduce((a, b) => a + b, 0)
    assert.equal(await job.result({ signal: AbortSignal.timeout(WAIT_MS) }), expected)
  })
})
