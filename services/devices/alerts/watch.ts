import { hash } from 'node:crypto'
import { AGENT, type Body, type Entry } from '../log/entry.ts'
import { toJson } from '../series/to-json.ts'
import { isOld, type Open, onTime, onValue, rateOf, type Step } from './decide.ts'
import { matches, type StoredRule } from './rule.ts'
import type { Alert, AlertStore } from './store.ts'

/** An entry of a log as the series read it: where it is, when, and what it says. */
export interface SeenEntry extends Pick<Entry, 'class' | 'device' | 'kind' | 'body' | 'clock'> {
  agent: string
  number: number
  seq: number
  /** ms since 1970 */
  at: number
}
type Place = Pick<SeenEntry, 'agent' | 'number' | 'seq' | 'at' | 'device'>

const KEY_CHARS = 32
/** Alerts that are not over, of all rules: a rule that fits everything fills no disk. */
const MAX_OPEN = 10_000
/** Devices that one rule remembers. */
const MAX_HEARD = 10_000

export interface WatchInit {
  store: AlertStore
  now(): number
  /** all that are known, for rules on absence; `isPast`: its board is no more, and nobody waits for what it says */
  devices(): { agent: string; id: string; isPast: boolean }[]
}

/** The same for every node that keeps the log. */
const keyOf = (rule: string, { agent, device, number, seq }: Place): string =>
  hash('sha256', JSON.stringify([rule, agent, device, number, seq]), 'hex').slice(0, KEY_CHARS)

/** Applies the rules to what the logs say, entry by entry, and to the time that passes. */
export function createWatch({ store, now, devices }: WatchInit) {
  function open(rule: StoredRule, place: Place, state: 'pending' | 'firing', value: Alert['value']): void {
    if (store.countOpen() >= MAX_OPEN) return
    const { agent, number, seq, at, device } = place
    const { name, severity } = rule
    const heardAt = now()
    store.open({
      key: keyOf(name, place),
      rule: name,
      agent,
      device,
      severity,
      state,
      number,
      seq,
      value,
      openedAt: at,
      heardAt,
      ...(state === 'firing' ? { firedAt: heardAt } : {})
    })
  }

  function take(
    step: Step,
    rule: StoredRule,
    standing: Alert | undefined,
    place: Place,
    value: number
  ): void {
    if (standing == null) {
      if (step === 'pending' || step === 'firing') open(rule, place, step, value)
    } else if (step === 'firing') store.fire(standing.key, now())
    else if (step === 'resolved') store.resolve(standing.key, now())
    else if (step === 'drop') store.drop(standing.key)
  }

  function onReading(rule: StoredRule, entry: SeenEntry): void {
    const { agent, device, at } = entry
    const said = entry.body[rule.reading!]
    if (typeof said !== 'number') return
    let value: number | undefined = said
    if (rule.perSeconds != null) {
      const before = store.heard(rule.name, agent, device)
      remember(rule, entry, said)
      value =
        before?.value == null
          ? undefined
          : rateOf({ ...before, value: before.value }, { at, value: said }, rule.perSeconds)
    }
    if (value == null) return
    const standing = store.standing(rule.name, agent, device)
    take(onValue(rule, standing as Open | undefined, value, at), rule, standing, entry, value)
  }

  function onEvent(rule: StoredRule, entry: SeenEntry): void {
    const { agent, device, kind, body } = entry
    if (kind !== rule.event || (rule.field != null && textOf(body, rule.field) !== rule.equals)) return
    const standing = store.standing(rule.name, agent, device)
    // one that nobody has looked at yet stands for those that follow
    if (standing?.state === 'firing') store.count(standing.key)
    else {
      if (standing != null) store.resolve(standing.key, now())
      open(rule, entry, 'firing', JSON.parse(toJson(body)) as Alert['value'])
    }
  }

  function remember(rule: StoredRule, { agent, device, number, seq, at }: Place, value?: number): void {
    if (store.heard(rule.name, agent, device) != null || store.countHeard(rule.name) < MAX_HEARD)
      store.hear(rule.name, { agent, device, number, seq, at, ...(value == null ? {} : { value }) })
  }

  return {
    /** why nothing more is found; undefined: it is */
    reason: (): string | undefined =>
      store.countOpen() < MAX_OPEN
        ? undefined
        : `${MAX_OPEN} alerts are not over, and no more are opened; remove the rule that opens so many`,
    /** In the transaction that says how far the log was read: each entry counts once. */
    onEntry(entry: SeenEntry): void {
      for (const rule of store.rules()) {
        if (!matches(rule.devices, entry.device)) continue
        if (rule.absentSeconds != null) {
          if (entry.device === AGENT) continue
          // when it was heard here: no clock of another machine decides
          remember(rule, { ...entry, at: now() })
          const standing = store.standing(rule.name, entry.agent, entry.device)
          if (standing != null) store.resolve(standing.key, now())
        } else if (!isOld(rule, entry.at, entry.clock)) {
          if (rule.event != null) onEvent(rule, entry)
          else if (entry.class === 'sample') onReading(rule, entry)
        }
      }
    },
    /** What time alone changes. */
    onTick(): void {
      for (const rule of store.rules()) {
        if (rule.absentSeconds != null) {
          const { name, since, absentSeconds } = rule
          const remembersAll = store.countHeard(name) < MAX_HEARD
          for (const { agent, id, isPast } of devices()) {
            if (!matches(rule.devices, id)) continue
            if (isPast) {
              const alert = store.standing(name, agent, id)
              if (alert != null) store.resolve(alert.key, now())
              continue
            }
            const heard = store.heard(name, agent, id)
            // it may have spoken all the same
            if (heard == null && !remembersAll) continue
            if (now() - (heard?.at ?? since) < absentSeconds * 1_000) continue
            if (store.standing(name, agent, id) != null) continue
            const place = heard ?? { number: 0, seq: store.placeOfNone(name, agent, id), at: since }
            open(rule, { ...place, agent, device: id }, 'firing', null)
          }
        } else if (rule.forSeconds > 0)
          for (const alert of store.pending(rule.name))
            if (onTime(rule, alert as Open, now()) === 'firing') store.fire(alert.key, now())
      }
    }
  }
}

function textOf(body: Body, field: string): string | undefined {
  const value = Object.hasOwn(body, field) ? body[field] : undefined
  return value == null || typeof value === 'object' ? undefined : String(value)
}
