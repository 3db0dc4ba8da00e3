import { createHash } from 'node:crypto'
import { encodeValue } from '../../sandbox/index.ts'
import { ForbiddenError, type HostOf, type ServiceOf } from '../host/index.ts'
import { loadOutbound } from '../outbound/index.ts'
import type { Agreement, Outcome } from './contract.ts'
import { stands } from './core/pattern.ts'
import { nextTime } from './core/times.ts'
import type { declaration } from './declaration.ts'
import { RuleError, UnknownRuleError } from './errors.ts'
import { createExtractor } from './extract/extractor.ts'
import { createLook } from './look.ts'
import { createPasswords } from './passwords.ts'
import { pagesOf, type Rule, type Subscription } from './rule.ts'
import { MIGRATIONS } from './schema.ts'
import { createSend } from './send/channels.ts'
import { createOutbox, type Waiting } from './send/outbox.ts'
import { createShare } from './share/create-share.ts'
import { hostsOf, sharedOf } from './share/shared-rule.ts'
import { createStore, type RuleState } from './store.ts'
import { toCsv, toRss } from './tables.ts'
import { createTest } from './test-rule.ts'
import { createTurns } from './turns.ts'
import { createVisit } from './visit.ts'

type Own = typeof declaration

const TICK_MS = 500
/** Hosts of which rules are looked at at the same time; each is asked one thing after the other anyway. */
const AT_ONCE = 8
const FEED = 100

export async function createService(host: HostOf<Own>): Promise<ServiceOf<Own>> {
  const { createOutbound } = await loadOutbound()
  const { now } = host
  const db = host.database(MIGRATIONS)
  // looks need not wait for the disk: what a power cut takes back is found again
  db.exec('PRAGMA synchronous = NORMAL')
  const store = createStore(db)
  const outbox = createOutbox(db, store, now)
  const outbound = createOutbound({
    openHosts: () => host.config.openHosts,
    gapMs: () => host.config.pauseSeconds * 1000,
    chromium: () => host.config.chromium
  })
  const extractor = createExtractor(host.use.sandbox)
  const secrets = createPasswords(host.secrets('secrets'))
  const cookies = host.secrets('cookies')
  const keptMs = () => host.config.shareSeconds * 1000
  const visit = createVisit({ outbound, extractor, secrets, cookies, keptMs, now })
  const share = createShare(host, { visit, extractor })
  const look = createLook({ store, visit, extractor, share, outbox, now })
  const test = createTest({ store, visit, extractor })
  const send = createSend({
    outbound,
    secrets,
    mail: () => host.config,
    messenger: () => host.wanted.messenger,
    now
  })
  const inTurn = createTurns<Outcome | undefined>(AT_ONCE)
  const looking = new Map<string, Promise<Outcome | undefined>>()
  /** of these somebody wants a look, and not their schedule alone */
  const asked = new Set<string>()
  const sending = new Set<string>()

  /** Once at a time per rule; who asks meanwhile gets the same answer. */
  function run(id: string, isAsked: boolean): Promise<Outcome | undefined> {
    const [page] = pagesOf(store.rules.get(id).rule)
    if (isAsked) asked.add(id)
    const under = looking.get(id)
    if (under != null) return under
    const begun = inTurn(URL.parse(page!)?.host ?? page!, () => lookAt(id))
      .then(outcome => {
        if (outcome?.state === 'ok') nameDiffering(id, outcome.agreement?.answers)
        return outcome
      })
      .finally(() => {
        looking.delete(id)
        asked.delete(id)
        host.tell('changed', { rule: id })
      })
    looking.set(id, begun)
    return begun
  }

  /** @returns undefined: the rule was paused before its turn came, and nobody has asked for it */
  async function lookAt(id: string): Promise<Outcome | undefined> {
    host.signal.throwIfAborted()
    const { rule, isPaused } = store.rules.get(id)
    if (isPaused && !asked.has(id)) return undefined
    // what fails now comes again with its schedule
    store.rules.plan(id, nextTime(rule.schedule, rule.timeZone, now(), Math.random()))
    return look(id, host.signal)
  }

  /** Who says something else than most stands in the health, until all say the same. */
  function nameDiffering(id: string, answers: Agreement['answers'] = []): void {
    const named = answers
      .filter(({ is }) => is === 'differs')
      .map(({ peer, keys }) => `${peer} says something else than most of ${keys.join(', ').slice(0, 200)}`)
    host.degraded(`agreement on ${id}`, named.length === 0 ? undefined : named.join('; '))
  }

  function lookAtDue(): void {
    for (const { id } of store.rules.due(now()))
      if (!looking.has(id)) run(id, false).catch((error: Error) => told(`rule ${id}`, error))
  }

  /** One message at a time per subscription, so that one whose server is dead holds up no other. */
  function sendDue(): void {
    for (const waiting of outbox.due()) {
      if (sending.has(waiting.subscription)) continue
      sending.add(waiting.subscription)
      deliver(waiting)
        .catch((error: Error) => told(`message ${waiting.name}`, error))
        .finally(() => sending.delete(waiting.subscription))
    }
  }

  async function deliver(waiting: Waiting): Promise<void> {
    const row = store.subscriptions.list().find(({ id }) => id === waiting.subscription)
    if (row == null) return
    outbox.secure(waiting.id)
    try {
      await send(row.subscription.channel, waiting.message, waiting.name, host.signal)
    } catch (error) {
      if (host.signal.aborted) return
      outbox.refused(waiting, (error as Error).message)
      host.log('%s is not told yet: %s', row.id, (error as Error).message)
      return
    }
    if (!host.signal.aborted) outbox.sent(waiting.id)
  }

  function told(what: string, error: Error): void {
    if (!host.signal.aborted) host.log.error('%s: %s', what, error.message)
  }

  function rowOf(id: string) {
    const { version, rule, isPaused, dueAt, last } = store.rules.get(id)
    return { id, version, rule, isPaused, dueAt, last }
  }

  const find = (q: string | undefined, rule: string | undefined, limit: number) =>
    q == null || q.trim() === '' ? store.items.list(rule, limit) : store.items.find(q, rule, limit)

  return {
    operations: {
      rules: () => ({ items: store.rules.list().map(({ id }) => rowOf(id)) }),

      put({ id, rule, isPaused }) {
        checkRule(rule)
        const bytes = encodeValue(rule)
        const version = createHash('sha256').update(bytes).digest('hex')
        store.atomically(() => {
          store.rules.put(id, version, rule, host.sign('rule', bytes), now())
          store.rules.pause(id, isPaused)
        })
        return rowOf(id)
      },

      async remove({ id }) {
        if (!store.rules.remove(id)) throw new UnknownRuleError(`there is no rule ${id}`)
        nameDiffering(id)
        await cookies.remove(id)
        return {}
      },

      async run({ id }) {
        for (;;) {
          const outcome = await run(id, true)
          // who comes just when a paused rule is passed over has it looked at
          if (outcome != null) return outcome
        }
      },

      test({ rule, id }, { signal }) {
        checkRule(rule)
        return test(rule, id, signal)
      },

      items: ({ q, rule, limit }) => ({ items: find(q, rule, limit) }),
      csv: ({ q, rule, limit }) => toCsv(find(q, rule, limit)),
      events: ({ rule, before = Number.MAX_SAFE_INTEGER, limit }) => ({
        items: store.events.newest(rule, before, limit)
      }),

      feed({ rule }) {
        const names = new Map(store.rules.list().map(({ id, rule }) => [id, rule.name]))
        return toRss(store.events.newest(rule, Number.MAX_SAFE_INTEGER, FEED), id => names.get(id) ?? id)
      },

      subscriptions: () => ({ items: store.subscriptions.list(), messages: outbox.counts() }),

      subscribe({ id, subscription }, { caller }) {
        checkSubscription(subscription)
        if (subscription.channel.kind === 'messenger') {
          const { messenger } = host.wanted
          const why = messenger == null ? 'the messenger does not run here' : messenger.refusal(caller)
          if (why != null) throw new ForbiddenError(`channel: ${why}`)
        }
        const { digest, timeZone, rule } = subscription
        const rules: RuleState[] = rule == null ? store.rules.list() : [store.rules.get(rule)]
        return store.atomically(() => {
          const isNew = !store.subscriptions.list().some(row => row.id === id)
          const dueAt = digest == null ? undefined : nextTime(digest, timeZone, now())
          store.subscriptions.put(id, subscription, store.events.last(), dueAt)
          if (isNew) for (const each of rules) if (each.isBased) outbox.existing({ id, subscription }, each)
          return store.subscriptions.list().find(row => row.id === id)!
        })
      },

      unsubscribe({ id }) {
        if (!store.subscriptions.remove(id)) throw new UnknownRuleError(`there is no subscription ${id}`)
        return {}
      },

      secrets: async () => ({ names: await secrets.names() }),

      async secret({ name, value, site }) {
        if (value === '') await secrets.remove(name)
        else await secrets.set(name, value, site && new URL(site).origin)
        return {}
      }
    },

    messages: { look: (request, { send }) => share.answer(request, send) },

    start() {
      host.repeat('looking', TICK_MS, () => {
        store.atomically(() => outbox.cut())
        lookAtDue()
        sendDue()
      })
    },

    async stop() {
      await Promise.all([outbound.close(), extractor.close()])
    }
  }
}

/** What the schema cannot say. @throws {RuleError} */
function checkRule(rule: Rule): void {
  const { schedule, timeZone, key, extract, agree, login, browser, regions } = rule
  checkTime(schedule, timeZone)
  if (agree != null && login != null)
    throw new RuleError('agree: others cannot look behind a login; passwords do not leave this node')
  if (agree != null && browser != null) throw new RuleError('agree: others open no pages in a browser')
  if (browser != null && login != null)
    throw new RuleError('login: a browser has steps for it, browser.login.steps')
  if (agree == null && regions != null) throw new RuleError('regions: they are of others who look, see agree')
  if (agree != null) hostsOf(sharedOf(rule))
  const missing = key.find(name => extract.fields[name] == null)
  if (missing != null) throw new RuleError(`key: there is no field "${missing}"`)
  const all = { rows: extract.rows, ...extract.fields }
  for (const [name, { css, xpath, path, regex }] of Object.entries(all)) {
    const ways = [css, xpath, path].filter(way => way != null).length
    if (ways > 1) throw new RuleError(`${name}: one of css, xpath and path is enough`)
    if (ways === 0 && regex == null)
      throw new RuleError(`${name}: say where it stands: css, xpath, path or regex`)
    if (path != null && extract.type !== 'json') throw new RuleError(`${name}: a path is of JSON`)
    if ((css ?? xpath) != null && extract.type !== 'html' && extract.type !== 'xml')
      throw new RuleError(`${name}: css and xpath are of html and xml`)
  }
}

/** @throws {RuleError} */
function checkSubscription({ digest, timeZone, when }: Subscription): void {
  if (digest != null) checkTime(digest, timeZone)
  if (when == null) return
  if ((when.contains ?? when.matches ?? when.above ?? when.below) == null)
    throw new RuleError('when: contains, matches, above or below is missing')
  const { matches } = when
  if (matches != null) checked(() => stands(matches, ''))
}

const checkTime = (pattern: string, timeZone: string): void => checked(() => nextTime(pattern, timeZone, 0))

function checked(read: () => void): void {
  try {
    read()
  } catch (error) {
    throw new RuleError((error as Error).message)
  }
}
