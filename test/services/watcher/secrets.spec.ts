import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSandbox, type Sandbox } from '../../../sandbox/index.ts'
import { OWNER, watch } from '../../../services/index.ts'
import type { Outcome } from '../../../services/watcher/contract.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'

const PASSWORD = 'over & "out" = 1'
const WRITTEN = [
  PASSWORD,
  'over &amp; &quot;out&quot; = 1',
  'over &amp; "out" = 1',
  'over+%26+%22out%22+%3D+1',
  'over%20%26%20%22out%22%20%3D%201'
]
const DAY_MS = 86_400_000

/** A site whose login is a link with the password in it, and that shows what was typed in every way. */
async function openSite() {
  const site = { logins: 0, isHungUp: false, rows: ['a'], forget: () => void sessions.clear() }
  const sessions = new Set<string>()
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://site')
    const html = (text: string): void =>
      void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(text)
    if (pathname === '/login') return html('<form action="/enter"><input name="password"></form>')
    if (pathname === '/enter') {
      site.logins++
      if (site.isHungUp || searchParams.get('password') !== PASSWORD) return void request.socket.destroy()
      sessions.add(`s${site.logins}`)
      return void response
        .writeHead(303, { location: '/list', 'set-cookie': `session=s${site.logins}` })
        .end()
    }
    if (pathname !== '/list') return void response.writeHead(404).end()
    const session = /session=(\w+)/.exec(request.headers.cookie ?? '')?.[1]
    if (!sessions.has(session ?? '')) return html('Log in')
    html(`Log out ${WRITTEN.join('<br>')}${site.rows.map(key => `<p>${key}</p>`).join('')}`)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(site, {
    host,
    url: `http://${host}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  })
}

describe('watcher: passwords', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  before(async () => {
    sandbox = createSandbox({ warm: 1, lazy: true })
    await sandbox.start()
  })
  after(() => sandbox?.stop())

  it('stand in no error, log and kept page, however a site writes them, and are entered three times a day', async () => {
    await using site = await openSite()
    const lines: string[] = []
    let now = Date.now()
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: { watch: { openHosts: [site.host], pauseSeconds: 0 } },
      lines,
      now: () => now
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const run = (): Promise<Outcome> => {
      now += 1000
      return call('run', { id: 'list' })
    }
    const rule = {
      name: 'List',
      urls: [`${site.url}/list`],
      login: {
        url: `${site.url}/login`,
        form: 'form',
        fill: { password: { secret: 'site' } },
        marker: 'Log out'
      },
      extract: { rows: { css: 'p' }, fields: { key: { regex: '.+' } } },
      key: ['key']
    }
    await call('secret', { name: 'site', value: PASSWORD, site: site.url })
    await call('put', { id: 'list', rule, isPaused: true })

    site.isHungUp = true
    const failed = await run()
    deepEqual([failed.state, site.logins], ['failed', 1])
    match(failed.reason!, /^LoginError: http:\/\/127\.0\.0\.1:\d+\/enter: /)
    site.isHungUp = false
    for (const logins of [2, 3]) {
      const { state, reason } = await run()
      deepEqual([state, site.logins], ['ok', logins], reason)
      site.forget()
    }
    const refused = await run()
    deepEqual([refused.state, site.logins], ['failed', 3])
    match(refused.reason!, /^LoginError: 3 logins within a day; the next is at /)
    now += DAY_MS
    equal((await run()).state, 'ok')
    equal(site.logins, 4)

    const all = {
      ...rule,
      extract: { type: 'text', rows: { regex: '[^]+' }, fields: { key: { regex: '[^]+' } } }
    }
    const { fetches } = await call<{ fetches: { items: object[] }[] }>('test', { id: 'list', rule: all })
    const seen = JSON.stringify([fetches, await call('rules')])
    ok(seen.includes('Log out') && seen.includes('***'))
    for (const text of [seen, lines.join('\n')])
      for (const written of WRITTEN)
        for (const form of [written, JSON.stringify(written).slice(1, -1)]) ok(!text.includes(form), form)
  })

  it('and a webhook that leads inside reaches nobody there', async () => {
    await using site = await openSite()
    await using inside = await openSite()
    const lines: string[] = []
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: { watch: { openHosts: [site.host], pauseSeconds: 0 } },
      lines
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const rule = {
      name: 'Login',
      urls: [`${site.url}/login`],
      extract: { rows: { css: 'form' }, fields: { key: { css: 'input', attribute: 'name' } } },
      key: ['key']
    }
    await call('secret', { name: 'hook', value: 'shared' })
    await call('put', { id: 'login', rule, isPaused: true })
    equal((await call<Outcome>('run', { id: 'login' })).state, 'ok')
    const channel = { kind: 'webhook', url: `${inside.url}/enter`, secret: 'hook' }
    await call('subscribe', { id: 'inside', subscription: { name: 'inside', channel, first: 'matching' } })
    await until(() => lines.some(line => line.includes('inside is not told yet')), 'it is tried')
    equal(inside.logins, 0)
  })
})
