import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { COURT_PASSWORD, type Court, caseOf, courtRule, openCourt } from '../../../node/demo/court.ts'
import { createSandbox, type Sandbox } from '../../../sandbox/index.ts'
import { OWNER, watch } from '../../../services/index.ts'
import type { Outcome } from '../../../services/watcher/contract.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'

interface Message {
  kind: string
  events: { kind: string; key: string; old?: object; new?: object }[]
}

const PAGES = 2
const COUNT = 600

/** A page whose host names its versions, at /visitor with a cookie, at /held when it is let go, and how often it was sent. */
async function openVersions() {
  const site = {
    version: 1,
    sent: 0,
    unchanged: 0,
    paths: [] as string[],
    held: Promise.withResolvers<void>(),
    host: '',
    rule: {} as object,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
  const server = createServer(async ({ headers, url }, response) => {
    if (url === '/robots.txt') return response.writeHead(404).end()
    site.paths.push(url!)
    if (url === '/held') await site.held.promise
    const etag = `"${site.version}"`
    if (headers['if-none-match'] === etag) {
      site.unchanged++
      return response.writeHead(304, { etag }).end()
    }
    site.sent++
    const rows = ['a', ...(site.version === 1 ? ['b'] : [])].map(key => `<p>${key}</p>`)
    const cookie = url === '/visitor' ? { 'set-cookie': `visitor=${site.sent}` } : {}
    response.writeHead(200, { 'content-type': 'text/html', etag, ...cookie }).end(rows.join(''))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  site.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  site.rule = {
    name: 'list',
    urls: [`http://${site.host}/`],
    extract: { rows: { css: 'p' }, fields: { key: { regex: '.+' } } },
    key: ['key']
  }
  return site
}

interface TestedFetch {
  count: number
  doubt?: string
  sent: { subscription: string; events: number; text: string }[]
}

describe('watcher: a list behind a login', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  let court: Court
  before(async () => {
    sandbox = createSandbox({ warm: 1, lazy: true })
    await sandbox.start()
    court = await openCourt(COUNT)
  })
  after(async () => {
    await court?.[Symbol.asyncDispose]()
    await sandbox?.stop()
  })

  it('becomes a table, and what changes is told; a new layout is not', async () => {
    const told: { message: Message; signature: string; key: string; body: string }[] = []
    const hook = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      const { 'artel-signature': signature, 'idempotency-key': key } = request.headers
      told.push({ message: JSON.parse(body), body, signature: String(signature), key: String(key) })
      response.end()
    })
    await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve))
    const hookHost = `127.0.0.1:${(hook.address() as AddressInfo).port}`
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: { watch: { openHosts: [court.host, hookHost], pauseSeconds: 0 } }
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const rule = courtRule(court.url, PAGES)
    const run = () => call<Outcome>('run', { id: 'court' })

    await call('secret', { name: 'court', value: COURT_PASSWORD, site: court.url })
    await call('secret', { name: 'hook', value: 'shared' })
    await call('put', { id: 'court', rule, isPaused: true })
    const channel = { kind: 'webhook', url: `http://${hookHost}/`, secret: 'hook' }
    await call('subscribe', { id: 'all', subscription: { name: 'all', channel } })

    // a password goes to no site but its own, and signs nothing
    const login = { ...rule.login!, url: `http://${hookHost}/login` }
    await call('put', { id: 'thief', rule: { ...rule, login }, isPaused: true })
    const theft = await call<Outcome>('run', { id: 'thief' })
    equal(theft.state, 'failed')
    match(theft.reason!, /"court" is for http:\/\/127\.0\.0\.1:\d+, not for/)
    await call('remove', { id: 'thief' })

    const first = await run()
    deepEqual([first.state, first.items, first.isFirst, first.changes], ['ok', COUNT, true, 0], first.reason)
    // shuffled rows and new nonces; and the cookie is still good
    const again = await run()
    deepEqual([again.state, again.changes], ['ok', 0])
    equal(court.logins, 1)

    court.cases.set('2-7/2026', { ...court.cases.get('2-7/2026')!, room: '9' })
    court.cases.set('2-9999/2026', caseOf(9999, 'Щербаков против Воды & Света'))
    equal((await run()).changes, 2)
    await until(() => told.length === 1, 'the message')
    deepEqual(told[0]!.message.events.map(({ kind, key }) => `${kind} ${key}`).sort(), [
      'changed 2-7/2026',
      'new 2-9999/2026'
    ])
    const [, time, v1] = /^t=(\d+),v1=(\w+)$/.exec(told[0]!.signature)!
    equal(v1, createHmac('sha256', 'shared').update(`${time}.${told[0]!.body}`).digest('hex'))

    const found = await call<{ items: { key: string }[] }>('items', { q: 'shcherbakov' })
    deepEqual(
      found.items.map(({ key }) => key),
      ['2-9999/2026']
    )
    match(await call<string>('csv', { q: 'ЩЕРБАКОВ' }), /2-9999\/2026,Щербаков против Воды & Света/)
    match(await call<string>('feed'), /<title>new: 2-9999\/2026 \(Суд\)<\/title>/)

    court.isRebuilt = true
    const broken = []
    for (let i = 0; i < 4; i++) broken.push(await run())
    ok(
      broken.every(({ state }) => state === 'broken'),
      JSON.stringify(broken)
    )
    await until(() => told.length === 2, 'one alarm')
    equal(told[1]!.message.kind, 'broken')
    court.isRebuilt = false
    deepEqual([(await run()).changes, (await run()).changes], [0, 0])
    await until(() => told.length === 3, 'that it is well again')
    equal(told[2]!.message.kind, 'mended')

    court.cases.delete('2-7/2026')
    deepEqual([(await run()).changes, (await run()).changes, (await run()).changes], [0, 1, 0])
    await until(() => told.length === 4, 'what is gone')
    deepEqual(
      told[3]!.message.events.map(({ kind, key }) => `${kind} ${key}`),
      ['gone 2-7/2026']
    )
    equal(new Set(told.map(({ key }) => key)).size, 4)

    // another rule over the pages that are kept, without going there
    const { extract } = rule
    const draft = {
      ...rule,
      extract: {
        ...extract,
        rows: { xpath: '//tr[td]' },
        fields: { ...extract.fields, number: { xpath: 'td[1]' } }
      }
    }
    const old = { name: 'old', channel, first: 'matching', query: 'shcherbakov', kinds: ['gone'] }
    await call('subscribe', { id: 'old', subscription: old })
    const { fetches } = await call<{ fetches: TestedFetch[] }>('test', { id: 'court', rule: draft })
    // of the last fetches some are those of the other layout
    ok(fetches.some(({ count }) => count === COUNT) && fetches.some(({ doubt }) => doubt != null))
    // who would have been told what
    const [existing, gone, ...more] = fetches.flatMap(({ sent }) => sent)
    deepEqual(
      [existing?.subscription, existing?.events, gone?.subscription, gone?.events],
      ['old', 1, 'all', 1]
    )
    match(existing!.text, /^New \(Суд\): .*number: 2-9999\/2026/)
    match(gone!.text, /^Gone \(Суд\): .*number: 2-7\/2026/)
    deepEqual(more, [])

    const kept = join(host.folder, 'watch')
    for (const folder of ['secrets', 'cookies'])
      for (const name of await readdir(join(kept, folder)))
        equal((await stat(join(kept, folder, name))).mode & 0o777, 0o600, name)
    const database = await Promise.all(
      (await readdir(kept))
        .filter(name => name.includes('sqlite'))
        .map(name => readFile(join(kept, name), 'latin1'))
    )
    ok(database.length > 0 && database.every(text => !text.includes(COURT_PASSWORD)))
    hook.closeAllConnections()
    await new Promise(resolve => hook.close(resolve))
  })

  it('what its host calls unchanged is not sent again, and read and judged as if it were', async () => {
    await using site = await openVersions()
    let now = Date.now()
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: { watch: { openHosts: [site.host], pauseSeconds: 0 } },
      now: () => now
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const run = async (): Promise<unknown[]> => {
      now += 1000
      const { state, reason, items, changes } = await call<Outcome>('run', { id: 'list' })
      equal(state, 'ok', reason)
      return [items, changes, site.sent, site.unchanged]
    }
    await call('put', { id: 'list', rule: site.rule, isPaused: true })
    deepEqual(await run(), [2, 0, 1, 0])
    deepEqual(await run(), [2, 0, 1, 1])
    site.version = 2
    deepEqual(await run(), [1, 0, 2, 1])
    // the second right fetch without it, though nothing came
    deepEqual(await run(), [1, 1, 2, 2])
    // hosts may give all versions one name
    now += 86_400_000
    deepEqual(await run(), [1, 0, 3, 2])
    // another version of the rule begins anew, with the same page
    await call('put', { id: 'list', rule: { ...site.rule, name: 'other' }, isPaused: true })
    deepEqual(await run(), [1, 0, 3, 3])
    deepEqual(await run(), [1, 0, 3, 4])
  })

  it('of two rules with one address comes once, unless it was for a visitor alone', async () => {
    await using site = await openVersions()
    let now = Date.now()
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: { watch: { openHosts: [site.host], pauseSeconds: 0, shareSeconds: 60 } },
      now: () => now
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const run = async (...ids: string[]): Promise<number[]> => {
      now += 1000
      for (const { state, reason } of await Promise.all(ids.map(id => call<Outcome>('run', { id }))))
        equal(state, 'ok', reason)
      return [site.sent, site.unchanged]
    }
    for (const id of ['a', 'b']) await call('put', { id, rule: site.rule, isPaused: true })
    deepEqual(await run('a', 'b'), [1, 0], 'while it comes')
    deepEqual(await run('a'), [1, 1], 'each look has a newer one')
    deepEqual(await run('b'), [1, 1], 'soon after')
    now += 60_000
    deepEqual(await run('b'), [1, 2])
    now += 60_000
    deepEqual(await run('a'), [1, 3], 'too old to be given on')
    for (const id of ['a', 'b']) {
      const rule = { ...site.rule, urls: [`http://${site.host}/visitor`] }
      await call('put', { id, rule, isPaused: true })
    }
    deepEqual(await run('a', 'b'), [3, 3])
  })

  it('is not looked at where its rule is paused while it waits for its turn, unless somebody asks for it', async () => {
    await using site = await openVersions()
    await using elsewhere = await openVersions()
    await using host = await startHost({
      modules: [watch],
      capabilities: { sandbox },
      settings: { watch: { openHosts: [site.host, elsewhere.host], pauseSeconds: 0 } }
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const put = (id: string, isPaused: boolean, { host, rule } = site) =>
      call('put', { id, rule: { ...rule, urls: [`http://${host}/${id}`] }, isPaused })
    await put('held', true)
    const held = call<Outcome>('run', { id: 'held' })
    await until(() => site.paths.includes('/held'), 'its host is busy')
    for (const id of ['due', 'asked']) await put(id, false)
    await put('mark', false, elsewhere)
    // what was due before it waits by now
    await until(() => elsewhere.paths.includes('/mark'), 'what is due is begun')
    for (const id of ['due', 'asked']) await put(id, true)
    const asked = call<Outcome>('run', { id: 'asked' })
    site.held.resolve()
    deepEqual([(await held).state, (await asked).state], ['ok', 'ok'])
    ok(!site.paths.includes('/due'))
    equal((await call<Outcome>('run', { id: 'due' })).state, 'ok')
  })

  it('is asked for with what was known of it by those who look together, too', async () => {
    await using site = await openVersions()
    const now = { at: Date.now() }
    const directory = createTestDirectory()
    const start = (settings: object) =>
      startHost({
        modules: [watch],
        capabilities: { sandbox },
        directory,
        settings: { watch: { openHosts: [site.host], pauseSeconds: 0, ...settings } },
        now: () => now.at
      })
    await using other = await start({ allowedPeers: ['*'], lookHosts: [site.host] })
    await using host = await start({ lookPeers: [other.id] })
    for (const each of [other, host])
      await until(() => each.services.health()[0]!.state === 'running', 'both run')
    await host.connect(other)
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    await call('put', { id: 'list', rule: { ...site.rule, agree: 2 }, isPaused: true })
    const run = async (): Promise<unknown[]> => {
      now.at += 1_800_000
      const { state, reason, items, agreement } = await call<Outcome>('run', { id: 'list' })
      equal(state, 'ok', reason)
      equal(agreement!.answers.filter(({ is }) => is === 'agrees').length, 2)
      return [items, site.sent, site.unchanged]
    }
    deepEqual(await run(), [2, 2, 0])
    deepEqual(await run(), [2, 2, 2])
    site.version = 2
    deepEqual(await run(), [1, 4, 2])
    deepEqual(await run(), [1, 4, 4])
  })

  it('what a rule cannot be is said', async () => {
    await using host = await startHost({ modules: [watch], capabilities: { sandbox } })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const rule = { ...courtRule('https://court.example', 1), login: undefined }
    const wrong: [object, RegExp][] = [
      [{ ...rule, key: ['id'] }, /key: there is no field "id"/],
      [{ ...rule, schedule: '61 * * * *' }, /61/],
      [{ ...rule, timeZone: 'Mars/Olympus' }, /Mars/],
      [{ ...rule, extract: { ...rule.extract, rows: {} } }, /rows: say where/],
      [{ ...rule, extract: { ...rule.extract, rows: { path: '$[*]' } } }, /a path is of JSON/]
    ]
    for (const [rule, message] of wrong)
      await rejects(
        call('put', { id: 'a', rule }),
        (error: Error) => error.name === 'RuleError' && message.test(error.message)
      )
    await rejects(call('run', { id: 'a' }), { name: 'UnknownRuleError' })
    const channel = { kind: 'email', to: 'a@example.org' }
    for (const [when, message] of [
      [{ field: 'number' }, /matches/],
      [{ field: 'number', matches: '(' }, /the pattern "\("/],
      [{ field: 'number', matches: '(?=a)' }, /\(\?=/]
    ] as const)
      await rejects(call('subscribe', { id: 'a', subscription: { name: 'a', channel, when } }), {
        name: 'RuleError',
        message
      })
    // inside, and not opened by the owner
    await call('put', { id: 'inside', rule: { ...rule, urls: ['http://127.0.0.1/'] }, isPaused: true })
    const { state, reason } = await call<Outcome>('run', { id: 'inside' })
    equal(state, 'failed')
    match(reason!, /ForbiddenAddressError/)
  })
})
