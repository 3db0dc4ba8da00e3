import { deepEqual, equal } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { subscriptionSchema } from '../../../services/watcher/rule.ts'
import { MIGRATIONS } from '../../../services/watcher/schema.ts'
import { createStore } from '../../../services/watcher/store.ts'

const DAY_MS = 86_400_000

function openStore() {
  const db = new DatabaseSync(':memory:')
  db.exec(MIGRATIONS.join(';'))
  const store = createStore(db)
  store.rules.put('r', 'v', {} as never, new Uint8Array(64), 0)
  const put = (key: string, party: string, { isGone = false, at = 0 } = {}): void =>
    store.items.put('r', { key, fields: { party }, missing: 0, isGone }, at)
  return { store, put, [Symbol.dispose]: () => db.close() }
}

describe('watcher: what is kept', () => {
  it('is found as it is written first, then in another spelling; of each the newest first', () => {
    using opened = openStore()
    const { store, put } = opened
    put('1', 'Shcherbakov')
    put('2', 'Щербаков')
    put('3', 'Shcherbakov & Co')
    put('4', 'Иванов')
    put('5', 'ЩЕРБАКОВ')
    const find = (text: string, limit = 10) => store.items.find(text, undefined, limit).map(({ key }) => key)
    deepEqual(find('shcherbakov'), ['3', '1', '5', '2'])
    deepEqual(find('щербаков'), ['5', '2', '3', '1'])
    deepEqual(find('shcherbakov', 3), ['3', '1', '5'])
  })

  it('goes after its days, but for what somebody is still to be told, and what is still there', () => {
    using opened = openStore()
    const { store, put } = opened
    put('there', 'a')
    put('gone', 'b', { isGone: true })
    put('gone lately', 'c', { isGone: true, at: 95 * DAY_MS })
    for (const day of [0, 1, 95]) store.events.add('r', day * DAY_MS, { kind: 'new', key: `${day}` })
    const email = { kind: 'email', to: 'a@example.org' }
    // was told of the first alone
    store.subscriptions.put('slow', subscriptionSchema.parse({ name: 's', channel: email }), 1, undefined)
    for (let at = 0; at < 12; at++)
      store.pages.add('r', { at, url: 'https://example.org/', hash: `${at}`, text: `page ${at}` })
    const events = () => store.events.newest(undefined, 100, 100).map(({ key }) => key)
    const items = () => store.items.list(undefined, 100).map(({ key }) => key)

    store.prune('r', 10, 100 * DAY_MS)
    deepEqual(events(), ['95', '1'])
    deepEqual(items().sort(), ['gone lately', 'there'])
    deepEqual(store.pages.of('r')[0]!.text, 'page 2')
    equal(store.pages.of('r').length, 10)
    store.subscriptions.move('slow', 3, undefined)
    store.prune('r', 10, 100 * DAY_MS)
    deepEqual(events(), ['95'])
  })
})
