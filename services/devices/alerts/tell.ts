import { hash } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import type { Log, Signer } from '../context.ts'
import type { Alert, AlertStore, Due, Message, Step, Told } from './store.ts'

/** Alerts of one cause come together, a moment after each other. */
const TOGETHER_MS = 2_000
/** The next node tells when the one before has not. */
const TURN_MS = 30_000
const FIRST_WAIT_MS = 5_000
const LAST_WAIT_MS = 600_000
/** Of one message. */
const MAX_ALERTS = 100
const ID_CHARS = 32

export interface TellInit {
  store: AlertStore
  self: string
  /** nodes that keep the same logs and have the same rules */
  others(): readonly string[]
  urls(): readonly string[]
  /** who hears of what nobody has acknowledged in time */
  lastUrls(): readonly string[]
  /** Posts a message; what is not taken throws. */
  post(url: string, headers: Record<string, string>, body: string, signal: AbortSignal): Promise<void>
  /** Which of these the receivers have heard of, as another node says. */
  areTold(peer: string, keys: string[], step: Step): Promise<Told>
  sign: Signer
  now(): number
  /** why nobody hears; undefined: they do */
  onState(reason: string | undefined): void
  log: Log
}

/** Alerts of one rule at one agent: one message for what has one cause. */
interface Group {
  rule: string
  agent: string
  step: Step
  /** of the first */
  since: number
  alerts: Alert[]
}

const TYPES: Readonly<Record<Step, string>> = {
  1: 'alert.firing',
  2: 'alert.resolved',
  3: 'alert.escalated',
  4: 'alert.resolved'
}

/** The nodes that tell of a group before this one does; the same order everywhere. Pure. */
export function earlier(
  self: string,
  others: readonly string[],
  { rule, agent }: Pick<Group, 'rule' | 'agent'>
): string[] {
  const weight = (peer: string): string => hash('sha256', JSON.stringify([rule, agent, peer]), 'hex')
  const mine = weight(self)
  return others.filter(peer => peer !== self && weight(peer) < mine)
}

/** One per receiver: none can speak for this node to another. */
export const secretOf = (sign: Signer, url: string): string =>
  `whsec_${hash('sha256', sign('alert-receiver/1', Buffer.from(url)), 'base64')}`

/** Pure. */
export function groupsOf(due: readonly Due[]): Group[] {
  const groups = new Map<string, Group>()
  for (const { alert, step, since } of due) {
    const { rule, agent } = alert
    const key = JSON.stringify([rule, agent, step])
    const group = groups.get(key) ?? { rule, agent, step, since, alerts: [] }
    groups.set(key, group)
    if (group.alerts.length === MAX_ALERTS) continue
    group.alerts.push(alert)
    group.since = Math.min(group.since, since)
  }
  return [...groups.values()]
}

/**
 * Tells receivers that alerts fire and that they are over, and others what nobody has acknowledged in time, once, as
 * Standard Webhooks has it. Of several nodes with the same
 * rules one tells; the next one after 30 s, where the one before cannot say that it has. A message that is tried again
 * has the same id.
 */
export function createTell(init: TellInit) {
  const { store, self, others, urls, lastUrls, post, areTold, sign, now, onState, log } = init
  /** by url: when it is tried again, after what wait, and why it did not take the last one */
  const waits = new Map<string, { until: number; ms: number; why: string }>()

  /** Those that one of these nodes has told; what cannot be asked has not. */
  async function toldBy(peers: readonly string[], keys: string[], step: Step): Promise<string[]> {
    const told = new Set<string>()
    for (const peer of peers) {
      try {
        const answer = await areTold(peer, keys, step)
        for (const key of answer.keys) if (keys.includes(key)) told.add(key)
        const escalated = keys.filter(key => answer.escalated.includes(key))
        if (escalated.length > 0) store.escalated(escalated, now())
      } catch (error) {
        log('%s does not say what it has told: %s', peer, (error as Error).message)
      }
    }
    return [...told]
  }

  async function queueDue(): Promise<void> {
    for (const group of groupsOf(store.untold(now()))) {
      const { rule, agent, step, since, alerts } = group
      const to = receiversOf(group)
      if (to.length === 0) continue
      const before = earlier(self, others(), group)
      if (now() < since + TOGETHER_MS + before.length * TURN_MS) continue
      const keys = alerts.map(({ key }) => key)
      // somebody may look after it at any of them, and any of them may have told that nobody does
      const told = await toldBy(step > 2 ? others() : before, keys, step)
      store.toldByOther(told, step)
      if (told.length > 0) continue
      const id = `alert_${hash('sha256', JSON.stringify([step, ...keys.toSorted()]), 'hex').slice(0, ID_CHARS)}`
      const body = JSON.stringify({
        type: TYPES[step],
        timestamp: new Date(since).toISOString(),
        data: { rule, agent, alerts }
      })
      store.queue({ id, step, keys, body, createdAt: now() }, to)
    }
  }

  /** Who hears both that it fires and that nobody looks after it hears once that it is over. */
  const receiversOf = ({ step }: Group): string[] => [
    ...new Set(step < 3 ? urls() : lastUrls().filter(url => step === 3 || !urls().includes(url)))
  ]

  const isReceiver = (url: string): boolean => urls().includes(url) || lastUrls().includes(url)

  /** Whether its receiver may have the next one. */
  async function send(message: Message, signal: AbortSignal): Promise<boolean> {
    const { id, url, body, keys, step, createdAt } = message
    const wait = waits.get(url)
    // this node was away meanwhile: another one may have told it
    const isLate = now() - createdAt > TURN_MS && wait == null
    if (step === 3 && !store.isUnseen(keys)) {
      // somebody does by now
      store.forget(message)
      return true
    }
    if (!isReceiver(url) || (isLate && (await toldBy(others(), keys, step)).length === keys.length)) {
      store.sent(message)
      return true
    }
    try {
      const at = new Date(now())
      const headers = {
        'content-type': 'application/json',
        'idempotency-key': id,
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': new Webhook(secretOf(sign, url)).sign(id, at, body)
      }
      await post(url, headers, body, signal)
      waits.delete(url)
      store.sent(message, now())
      return true
    } catch (error) {
      signal.throwIfAborted()
      const ms = Math.min(2 * (wait?.ms ?? FIRST_WAIT_MS / 2), LAST_WAIT_MS)
      const why = `${url} does not take alerts, and is told again: ${(error as Error).message}`
      waits.set(url, { ms, until: now() + ms, why })
      return false
    }
  }

  return {
    /** Writes down what is due, and sends what is written down. */
    async round(signal: AbortSignal): Promise<void> {
      await queueDue()
      for (const url of waits.keys()) if (!isReceiver(url)) waits.delete(url)
      const waiting = [...waits].filter(([, { until }]) => until > now()).map(([url]) => url)
      // each receiver by itself: one that is slow or away holds up no other
      const queues = Map.groupBy(store.messages(waiting), ({ url }) => url)
      await Promise.all(
        [...queues.values()].map(async messages => {
          for (const message of messages) {
            signal.throwIfAborted()
            if (!(await send(message, signal))) return
          }
        })
      )
      onState([...waits.values()][0]?.why)
    }
  }
}
