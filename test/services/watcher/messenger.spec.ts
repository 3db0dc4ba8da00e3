import { deepEqual, equal, match, rejects } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSandbox } from '../../../sandbox/index.ts'
import { type Caller, messenger, OWNER, watch } from '../../../services/index.ts'
import { partsOf } from '../../../services/messenger/device/write-for-others.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'

const account = (name: string, ...scopes: string[]): Caller => ({
  is: 'grant',
  grant: { id: name, scopes, account: { id: name, name, role: 'member' } }
})

describe('watcher: chats of the messenger', function () {
  this.timeout(600_000)

  it('are told what changes, once, and only by who may write there', async () => {
    await using hosts = new AsyncDisposableStack()
    const sandbox = createSandbox({ warm: 1, lazy: true })
    await sandbox.start()
    hosts.defer(() => sandbox.stop())
    let rows = ['a']
    const site = createServer((_, response) => response.end(rows.map(row => `<p>${row}</p>`).join('')))
    await new Promise<void>(resolve => site.listen(0, '127.0.0.1', resolve))
    hosts.defer(() => new Promise(resolve => site.close(() => resolve())))
    hosts.defer(() => site.closeAllConnections())
    const address = `127.0.0.1:${(site.address() as AddressInfo).port}`
    const host = hosts.use(
      await startHost({
        modules: [watch, messenger],
        capabilities: { sandbox },
        settings: { watch: { openHosts: [address], pauseSeconds: 0 } }
      })
    )
    await until(() => host.services.health().every(({ state }) => state === 'running'), 'both run')
    const call = <T = unknown>(service: string, operation: string, input: object = {}, caller = OWNER) =>
      host.services.call(service, operation, input, { caller }) as Promise<T>
    await call('messenger', 'found', { name: 'Firm', me: 'Ann', login: 'ann' })
    const { id: chat } = await call<{ id: string }>('messenger', 'createGroup', { title: 'Court' })

    const rule = {
      name: 'list',
      urls: [`http://${address}/`],
      extract: { rows: { css: 'p' }, fields: { key: { regex: '.+' } } },
      key: ['key']
    }
    await call('watch', 'put', { id: 'list', rule, isPaused: true })
    const subscription = { name: 'all', channel: { kind: 'messenger', chat } }
    const subscribe = (caller: Caller) => call('watch', 'subscribe', { id: 'all', subscription }, caller)
    await rejects(subscribe(account('ann', 'watch:write')), /needs a token with the scope messenger:write/)
    await rejects(subscribe(account('bob', 'watch:write', 'messenger:write')), /are those of ann/)
    await subscribe(account('ann', 'watch:write', 'messenger:write'))

    await call('watch', 'run', { id: 'list' })
    rows = ['a', 'b']
    await call('watch', 'run', { id: 'list' })
    const messages = () => call<{ messages: Record<string, number> }>('watch', 'subscriptions')
    await until(async () => (await messages()).messages.sent === 1, 'it is told')
    const { items } = await call<{ items: { text?: string }[] }>('messenger', 'messages', { group: chat })
    const texts = items.flatMap(({ text }) => text ?? [])
    equal(texts.length, 1)
    match(texts[0]!, /^all: 1 change\nNew \(list\): key: b$/)
  })

  it('get what is too long in parts, each whole', () => {
    deepEqual(partsOf('one\ntwo\nthree', 8), ['one\ntwo', 'three'])
    deepEqual(partsOf('abcdef', 4), ['abcd', 'ef'])
    deepEqual(partsOf('abc😀def', 4), ['abc', '😀de', 'f'])
    deepEqual(partsOf('\nabcdef', 4), ['\nabc', 'def'])
    deepEqual(partsOf('abcd', 4), ['abcd'])
  })
})
