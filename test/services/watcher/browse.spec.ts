import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CHROMIUM } from '../../../node/demo/browser-tabs.ts'
import { createSandbox, type Sandbox } from '../../../sandbox/index.ts'
import { OWNER, watch } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'

const PASSWORD = 'over & out = 1'
const CASES = ['2-1/2026', '2-2/2026', '2-3/2026']

/** A list whose rows and login are made by programs: of what the server sends nothing can be read. */
async function openSite() {
  let logins = 0
  const server = createServer(async (request, response) => {
    const isIn = request.headers.cookie?.includes('session=good') === true
    const page = (script: string): void =>
      void response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
        .end(`<!doctype html><body></body><script>${script}</script>`)
    if (request.url === '/robots.txt') return void response.writeHead(404).end()
    if (request.url === '/enter') {
      let body = ''
      for await (const chunk of request) body += chunk
      if (JSON.parse(body).password !== PASSWORD) return void response.writeHead(403).end()
      logins++
      return void response
        .writeHead(200, { 'set-cookie': 'session=good; Path=/; HttpOnly; Max-Age=9999' })
        .end()
    }
    if (request.url === '/data') {
      if (!isIn) return void response.writeHead(403).end()
      return void response.end(JSON.stringify(CASES))
    }
    if (request.url === '/login')
      return page(`setTimeout(() => {
        document.body.innerHTML = '<form><input name="password"><select><option>Appeals<option value="c">Cases</select><button>Enter</button></form>'
        let chosen; document.querySelector('select').onchange = event => { chosen = event.target.value }
        let typed; document.querySelector('input').oninput = event => { typed = event.target.value }
        document.querySelector('form').onsubmit = async event => {
          event.preventDefault()
          await fetch('/enter', { method: 'POST', body: JSON.stringify({ password: chosen === 'c' ? typed : '' }) })
          location.href = '/cases'
        }
      }, 30)`)
    page(
      isIn
        ? `fetch('/data').then(answer => answer.json()).then(all => setTimeout(() => {
            document.body.innerHTML = '<p>Log out</p><i>${PASSWORD}</i><button>Show</button><ul></ul>'
            document.querySelector('button').onclick = () => {
              document.querySelector('ul').innerHTML = all.map(each => '<li>' + each).join('')
            }
          }, 30))`
        : `document.body.innerHTML = '<p>Log in</p>'`
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    logins: () => logins,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

describe('watcher: pages that need a browser', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  before(async () => {
    sandbox = createSandbox({ warm: 1, lazy: true })
    await sandbox.start()
  })
  after(() => sandbox?.stop())

  it('are entered by steps, once, and read when they are made', async () => {
    await using site = await openSite()
    await using other = await openSite()
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: {
        watch: { openHosts: [site.host, other.host], pauseSeconds: 0, chromium: CHROMIUM }
      }
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = { state: string; reason?: string; items: number }>(
      operation: string,
      input: object = {}
    ): Promise<T> => host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const ruleAt = (url: string) => ({
      name: 'Cases',
      urls: [`${site.url}/cases`],
      browser: {
        login: {
          marker: 'Log out',
          steps: [
            { open: `${url}/login` },
            { select: 'select', value: 'Cases' },
            { fill: 'input', secret: 'court' },
            { click: 'button' },
            { expectText: 'Log out' }
          ]
        },
        steps: [{ click: 'button' }, { waitFor: 'li' }]
      },
      extract: { rows: { css: 'li' }, fields: { number: { regex: '.*' } } },
      key: ['number']
    })
    await call('secret', { name: 'court', value: PASSWORD, site: site.url })
    // a password goes to no site but its own
    await call('put', { id: 'thief', rule: ruleAt(other.url), isPaused: true })
    const theft = await call('run', { id: 'thief' })
    equal(theft.state, 'failed')
    match(theft.reason!, /"court" is for http:\/\/127\.0\.0\.1:\d+, not for/)
    equal(other.logins(), 0)

    await call('put', { id: 'court', rule: ruleAt(site.url), isPaused: true })
    for (const _ of ['enters', 'has the cookie']) {
      const seen = await call('run', { id: 'court' })
      deepEqual([seen.state, seen.items], ['ok', CASES.length], seen.reason)
    }
    equal(site.logins(), 1)
    const { fetches } = await call<{ fetches: { items: object[] }[] }>('test', {
      id: 'court',
      rule: { ...ruleAt(site.url), extract: { rows: { css: 'i' }, fields: { number: { css: 'i' } } } }
    })
    // what was kept of the page lacks the password that it shows
    ok(!JSON.stringify(fetches).includes('out = 1'))
    ok(fetches.length > 0)
  })

  it('artel doctor says whether they can be', async () => {
    const found = async (chromium: string) => Array.fromAsync(watch.checks({ chromium }))
    deepEqual(await found(''), [])
    deepEqual(
      (await found(CHROMIUM)).map(({ name, state }) => `${name} ${state}`),
      ['browser ok']
    )
    await rejects(found('/usr/bin/no-such-program'), {
      name: 'BrowserError',
      message: /apt-get install chromium/
    })
  })

  it('are read by nobody else, and not at all where no browser is allowed', async () => {
    await using site = await openSite()
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: { watch: { openHosts: [site.host], pauseSeconds: 0 } }
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = (operation: string, input: object): Promise<{ state: string; reason?: string }> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as never
    const extract = { rows: { css: 'li' }, fields: { number: { css: 'b' } } }
    const rule = { name: 'Cases', urls: [site.url], browser: {}, extract, key: ['number'] }
    await call('put', { id: 'cases', rule, isPaused: true })
    const { state, reason } = await call('run', { id: 'cases' })
    equal(state, 'failed')
    match(reason!, /BrowserError: no browser is allowed/)
    await rejects(call('put', { id: 'cases', rule: { ...rule, agree: 3 } }), { name: 'RuleError' })
    const login = { url: site.url, form: 'form', fill: {}, marker: 'Log out' }
    await rejects(call('put', { id: 'cases', rule: { ...rule, login } }), { name: 'RuleError' })
  })
})
