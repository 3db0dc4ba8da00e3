import { DatabaseSync } from 'node:sqlite'
import { type Rule, rule as ruleSchema } from '../../../services/devices/alerts/rule.ts'
import { type Alert, createAlertStore, type Step, type Told } from '../../../services/devices/alerts/store.ts'
import { createTell } from '../../../services/devices/alerts/tell.ts'
import { createWatch, type SeenEntry } from '../../../services/devices/alerts/watch.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'

export const AGENT = 'agent-1'
export const URL_ONE = 'https://one.example/'
export const URL_LAST = 'https://last.example/'
export const log = Object.assign(() => {}, { error: () => {} })
export const signal = new AbortController().signal
export const ruleOf = (rule: object): Rule => ruleSchema.parse({ name: 'r', ...rule })

/** Rules over a log that the test writes, with a clock of its own. */
export function world(rules: object[], known: string[] = []) {
  const db = new DatabaseSync(':memory:')
  for (const sql of MIGRATIONS) db.exec(sql)
  let now = 1_000_000
  let seq = 0
  let past: readonly string[] = []
  const store = createAlertStore(db)
  const watch = createWatch({
    store,
    now: () => now,
    devices: () => known.map(id => ({ agent: AGENT, id, isPast: past.includes(id) }))
  })
  for (const each of rules) store.setRule(ruleOf(each), now)
  const say = (entry: Partial<SeenEntry>): void =>
    watch.onEntry({
      agent: AGENT,
      number: 0,
      seq: seq++,
      at: now,
      class: 'sample',
      device: 'host:1',
      kind: 'reading',
      clock: 'ntp',
      body: {},
      ...entry
    })
  return {
    store,
    say,
    value: (load: number, more: Partial<SeenEntry> = {}) => say({ body: { load }, ...more }),
    later(ms: number): void {
      now += ms
      watch.onTick()
    },
    /** another board has taken these over */
    replace(...ids: string[]): void {
      past = ids
    },
    now: () => now,
    /** receivers that take nothing */
    isDown: (_url: string): boolean => false,
    /** the node is killed once a receiver has its message */
    isKilled: false,
    states: () => store.list(undefined, 100).map(({ state }) => state)
  }
}

/** A node that tells, and what it has posted. */
export function teller(
  self: string,
  others: string[],
  of: ReturnType<typeof world>,
  areTold: (peer: string, keys: string[], step: Step) => Promise<Told> = async () => ({
    keys: [],
    escalated: []
  }),
  last: string[] = [URL_LAST]
) {
  const posted: { url: string; id: string; keys: string[]; type: string }[] = []
  const tell = createTell({
    store: of.store,
    self,
    others: () => others,
    urls: () => [URL_ONE],
    lastUrls: () => last,
    async post(url, headers, body) {
      if (of.isDown(url)) throw new Error('it is down')
      const { type, data } = JSON.parse(body) as { type: string; data: { alerts: Alert[] } }
      posted.push({ url, id: headers['idempotency-key']!, keys: data.alerts.map(({ key }) => key), type })
      if (of.isKilled) await new Promise(() => {})
    },
    areTold,
    sign: (domain, bytes) => Buffer.from(`${domain}${bytes.length}`),
    now: of.now,
    onState: () => {},
    log
  })
  return { posted, round: () => tell.round(signal) }
}
