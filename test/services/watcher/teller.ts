import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../../../services/host/database.ts'
import { nextTime } from '../../../services/watcher/core/times.ts'
import { createLook } from '../../../services/watcher/look.ts'
import { ruleSchema, subscriptionSchema } from '../../../services/watcher/rule.ts'
import { MIGRATIONS } from '../../../services/watcher/schema.ts'
import { createOutbox } from '../../../services/watcher/send/outbox.ts'
import { createStore } from '../../../services/watcher/store.ts'

/*
 * What the service does with its file, as fast as it can, until somebody kills it: looks at a page that is another one each
 * time, cuts messages, and sends them by writing them into told.txt. With `last` it sends what is left and ends.
 */

const DAILY = '0 9 * * *'
const [folder, began, isLast] = process.argv.slice(2) as [string, string, string?]
/** A second is an hour, so that digests come while it lives; at last all of them are due. */
const now = (): number => {
  const at = Number(began) + (Date.now() - Number(began)) * 3600
  return isLast == null ? at : at + 2 * 86_400_000
}

const db = openDatabase(join(folder, 'watch.sqlite'), MIGRATIONS)
// as the service has it
db.exec('PRAGMA synchronous = NORMAL')
const store = createStore(db)
const outbox = createOutbox(db, store, now)
const look = createLook({
  store,
  visit: async () => [{ at: now(), url: 'u', hash: 'h', text: '' }],
  extractor: {
    items: async () => [['1', '2', '3'].map(id => ({ id, state: String(Math.floor(Math.random() * 4)) }))]
  },
  share: { look: () => Promise.reject(new Error('nobody is asked')) },
  outbox,
  now
})

function prepare(): void {
  if (store.rules.list().length > 0) return
  const fields = { id: { css: 'td' }, state: { css: 'b' } }
  const extract = { rows: { css: 'tr' }, fields }
  const rule = ruleSchema.parse({ name: 'r', urls: ['https://example.org/'], extract, key: ['id'] })
  store.rules.put('r', 'v', rule, new Uint8Array(64), 0)
  const usual = { name: 's', channel: { kind: 'email', to: 'a@example.org' } }
  store.subscriptions.put('now', subscriptionSchema.parse(usual), 0, undefined)
  const dueAt = nextTime(DAILY, 'UTC', now())
  store.subscriptions.put('daily', subscriptionSchema.parse({ ...usual, digest: DAILY }), 0, dueAt)
}

/** false where nothing was due */
function send(): boolean {
  store.atomically(() => outbox.cut())
  const due = outbox.due()
  for (const { id, subscription, name, message } of due) {
    outbox.secure(id)
    const numbers = message.events.map(({ number }) => number)
    appendFileSync(join(folder, 'told.txt'), `${subscription} ${name} ${numbers}\n`)
    outbox.sent(id)
  }
  return due.length > 0
}

store.atomically(prepare)
if (isLast != null) while (send());
else
  for (let looks = 0; ; looks++) {
    await look('r', new AbortController().signal)
    if (looks === 0) process.stdout.write('it looks\n')
    send()
  }
