import type { Fields } from './extract/contract.ts'
import type { EventKind, Rule, Subscription } from './rule.ts'

export type State = 'ok' | 'failed' | 'broken'

/** How a fetch ended. */
export interface Outcome {
  at: number
  state: State
  /** why it is not right */
  reason?: string
  items: number
  changes: number
  /** it was the first of its rule's version, which tells nobody anything */
  isFirst: boolean
  /** of a rule on which several nodes agree */
  agreement?: Agreement
}

/** What each node said of one look. */
export interface Agreement {
  /** keys of which no majority said the same: they are told to nobody; the first ten */
  unconfirmed: string[]
  answers: {
    /** peer id; the own one is among them */
    peer: string
    is: 'agrees' | 'differs' | 'silent'
    /** of which it said something else than most; the first ten */
    keys: string[]
    /** why it is silent */
    reason?: string
    /** what it signed; hashes and signature in hex */
    statement?: { at: number; snapshot: string; root: string; region: string; signature: string }
  }[]
}

export interface RuleRow {
  id: string
  version: string
  rule: Rule
  isPaused: boolean
  dueAt: number
  last?: Outcome
}

export interface Event {
  number: number
  rule: string
  at: number
  kind: EventKind
  key: string
  old?: Fields
  new?: Fields
}

export interface SubscriptionRow {
  id: string
  subscription: Subscription
  cursor: number
  dueAt?: number
}

/** What somebody is told, whatever the channel. */
export interface Message {
  kind: 'events' | 'first' | 'nothing' | 'broken' | 'mended'
  /** name of the subscription */
  subscription: string
  /** name of the rule, where it is about one */
  rule?: string
  /** why, of `broken` */
  reason?: string
  /** an item as it was usual, and as it is read now; of `broken` */
  before?: Fields
  after?: Fields
  events: (Omit<Event, 'rule'> & { rule: string })[]
}
