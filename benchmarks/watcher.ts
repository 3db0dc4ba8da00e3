import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MIGRATIONS } from '../services/watcher/schema.ts'
import { createStore } from '../services/watcher/store.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { end, residentMb } from './harness/process.ts'
import { beside, besideRows, percentile, summary } from './harness/statistics.ts'
import { versionOf } from './peers/processes.ts'
import { PYTHON } from './peers/python.ts'

const URLWATCH = 'urlwatch'
const GET = 'apt-get install urlwatch'
/** Each is asked one thing after the other. */
const HOSTS = 4
const ROWS = 100

export const metrics: Record<string, string> = {
  'watcher.pages':
    'pages of 100 rows on four hosts of loopback, fetched, read and compared; rows in another order each time, no pause',
  'watcher.pages-share': 'speed of watcher.pages as a multiple of the peer',
  'watcher.memory':
    'resident memory after that, of the node with its walled process; peer: the most of its run',
  'watcher.false-alerts': 'pages told to have changed in the same rounds, in which nothing did',
  'watcher.search-p50':
    'items by two words of a party in Latin letters, among a million in Cyrillic: median of a run'
}

export const versions = async (): Promise<Record<string, string>> => ({
  [URLWATCH]: await versionOf(URLWATCH, '--version').catch(() => `missing, get it with: ${GET}`)
})

/** The same pages with rows in another order each time, read by a node's rules and by Debian's urlwatch. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  const site = started.use(await openSite(quick ? 12 : 100))
  const own = await openWatch(folder, site, started)
  const peer = await openUrlwatch(folder, site)
  const perMinute = async (visit: () => Promise<void>): Promise<number> => {
    const from = performance.now()
    await visit()
    return (site.urls.length * 60_000) / (performance.now() - from)
  }
  // the first round is what the others are compared with
  const pages = await beside(
    quick ? 1 : 5,
    () => perMinute(own.visit),
    { [URLWATCH]: () => perMinute(peer.visit) },
    (name, error) => failed(name, new Error(`${error.message}; get it with: ${GET}`))
  )
  const rows = besideRows('watcher.pages', '1/min', pages, 'watcher.pages-share')
  rows.push(summary('watcher.memory', 'MB', [own.memoryMb()]))
  rows.push(summary('watcher.false-alerts', 'pages', [own.alerts()]))
  if (pages.peers.length > 0) {
    rows.push(summary('watcher.memory', 'MB', [peer.memoryMb()], URLWATCH))
    rows.push(summary('watcher.false-alerts', 'pages', [peer.alerts()], URLWATCH))
  }
  return [...rows, search(quick ? 20_000 : 1_000_000, quick ? 1 : 5)]
}

const SURNAMES = ['Иванов', 'Петрова', 'Ковалёв', 'Жуковский', 'Ходасевич', 'Цветкова', 'Яковлев', 'Щербаков']

async function openSite(pages: number) {
  const servers = await Promise.all(
    Array.from({ length: HOSTS }, async () => {
      const server = createServer(({ url }, response) => {
        if (url === '/robots.txt') return void response.writeHead(404).end()
        const rows = Array.from({ length: ROWS }, (_, i) => i).sort(() => Math.random() - 0.5)
        const cells = rows.map(
          i =>
            `<tr data-nonce="${Math.random()}"><td>${url}-${i}</td><td>${SURNAMES[i % SURNAMES.length]}</td></tr>`
        )
        response
          .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
          .end(`<!doctype html><title>Cases</title><table><tbody>${cells.join('\n')}</tbody></table>`)
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      return server
    })
  )
  const hosts = servers.map(server => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  return {
    hosts,
    urls: Array.from({ length: pages }, (_, i) => `http://${hosts[i % HOSTS]}/list-${i}`),
    async [Symbol.asyncDispose]() {
      for (const server of servers) {
        server.closeAllConnections()
        await new Promise(resolve => server.close(resolve))
      }
    }
  }
}
type Site = Awaited<ReturnType<typeof openSite>>

async function openWatch(folder: string, { hosts, urls }: Site, started: AsyncDisposableStack) {
  const data = join(folder, 'node')
  const flags = ['--gateway-enabled', '--gateway-port', '0', '--watch-enabled', '--compute', 'false']
  const open = hosts.flatMap(host => ['--watch-open-host', host])
  const node = await startNode('seed', data, [...flags, ...open, '--watch-pause-seconds', '0'])
  started.defer(() => end(node.process))
  const { url } = JSON.parse(await readFile(join(data, 'gateway.json'), 'utf8')) as { url: string }
  const token = (await readFile(join(data, 'gateway-token'), 'utf8')).trim()
  async function call<T>(method: string, path: string, body: object): Promise<T> {
    const response = await fetch(`${url}/api/v1/watch/rules/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
    return (await response.json()) as T
  }
  for (const [i, url] of urls.entries())
    await call('PUT', `page-${i}`, {
      isPaused: true,
      rule: {
        name: `Page ${i}`,
        urls: [url],
        extract: {
          rows: { css: 'tbody tr' },
          fields: { number: { css: 'td:nth-child(1)' }, party: { css: 'td:nth-child(2)' } }
        },
        key: ['number']
      }
    })
  let alerts = 0
  return {
    async visit(): Promise<void> {
      const outcomes = await Promise.all(
        urls.map((_, i) =>
          call<{ state: string; reason?: string; items: number; changes: number }>(
            'POST',
            `page-${i}/run`,
            {}
          )
        )
      )
      for (const { state, reason, items, changes } of outcomes) {
        if (state !== 'ok' || items !== ROWS) throw new Error(`a page is ${state}: ${reason ?? items}`)
        if (changes > 0) alerts++
      }
    },
    alerts: () => alerts,
    memoryMb: () => {
      const { own, children } = residentMb(node.process.pid!)
      return own + children
    }
  }
}

/** Runs a program and tells the most memory that it had. */
const MEASURED = `
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print('MAXRSS', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
`

async function openUrlwatch(folder: string, { urls }: Site) {
  const files = {
    urls: join(folder, 'urls.yaml'),
    config: join(folder, 'urlwatch.yaml'),
    cache: join(folder, 'urlwatch.db')
  }
  const jobs = urls.map(url => `url: ${url}\nfilter:\n  - xpath: //table\n  - html2text\n`)
  await writeFile(files.urls, jobs.join('---\n'))
  const args = Object.entries(files).flatMap(([name, path]) => [`--${name}`, path])
  let memory = 0
  let alerts = 0
  return {
    visit: () =>
      new Promise<void>((resolve, reject) => {
        execFile(
          PYTHON,
          ['-c', MEASURED, URLWATCH, ...args],
          { maxBuffer: 1 << 28, env: { PATH: process.env.PATH, HOME: folder } },
          (error, stdout, stderr) => {
            if (error != null) return reject(new Error(stderr.trim().split('\n').at(-1)))
            memory = Math.max(memory, Number(/MAXRSS (\d+)/.exec(stdout)?.[1]) / 1024)
            alerts += stdout.match(/^\d+\. CHANGED: /gm)?.length ?? 0
            resolve()
          }
        )
      }),
    alerts: () => alerts,
    memoryMb: () => memory
  }
}

/** In the table that the service keeps. */
function search(count: number, rounds: number): Row {
  const db = new DatabaseSync(':memory:')
  for (const script of MIGRATIONS) db.exec(script)
  const store = createStore(db)
  db.exec("INSERT INTO rule (id, version, body, signature, dueAt) VALUES ('court', '', '{}', x'', 0)")
  store.atomically(() => {
    for (let i = 0; i < count; i++) {
      const parties = `${SURNAMES[i % 7]} ${i} против ${i % 50_000 === 7 ? 'Щербакова' : 'Сидорова'}`
      const item = { key: `2-${i}`, fields: { number: `2-${i}`, parties }, missing: 0, isGone: false }
      store.items.put('court', item, 0)
    }
  })
  const medians = Array.from({ length: rounds }, () => {
    const times = Array.from({ length: 50 }, () => {
      const from = performance.now()
      const found = store.items.find('Shcherbakova protiv', undefined, 100).length
      if (found !== Math.ceil((count - 7) / 50_000)) throw new Error(`${found} items have the party`)
      return performance.now() - from
    })
    return percentile(times, 50)
  })
  db.close()
  return summary('watcher.search-p50', 'ms', medians)
}
