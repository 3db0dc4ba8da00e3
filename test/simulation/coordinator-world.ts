import type { Failure } from '../../sandbox/index.ts'

export type Behaviour =
  | 'honest'
  | 'slow'
  | 'silent'
  | 'hung'
  | 'flapping'
  | 'refusing'
  | 'failing'
  | 'lying'
  | 'malformed'
  | 'confused'
  | 'starved'

export const BEHAVIOURS: Behaviour[] = [
  'honest',
  'slow',
  'silent',
  'hung',
  'flapping',
  'refusing',
  'failing',
  'lying',
  'malformed',
  'confused',
  'starved'
]
export const FAILURES: Failure['name'][] = [
  'threw',
  'timeout',
  'out-of-memory',
  'invalid-result',
  'aborted',
  'wall-missing'
]
export interface Lease {
  job: string
  slice: number
  first: number
  count: number
}

export interface Worker {
  id: string
  behaviour: Behaviour
  slots: number
  window: number
  group?: string
  unitMs: number
  connected: boolean
  /** counts connections: what was on its way when one ended never arrives */
  epoch: number
  /** as the worker knows them */
  queue: Lease[]
  running: Set<number>
  /** as the coordinator knows them */
  held: Map<number, Lease>
}

export interface Job {
  id: string
  units: number
  mostUnits: number
  bound: bigint
  allowed?: Set<string>
  /** per unit: accepted or not */
  done: boolean[]
  accepted: Map<number, { count: number; paid: bigint; workers: Set<string> }>
  confidence: number
  spent: bigint
  /** units on which the author's code throws wherever it runs */
  throws: Set<number>
  /** units whose inputs nobody can get; undefined where inputs come from the requester */
  lost?: Set<number>
  /** unit → workers that failed it alone, other than by stopping */
  failedBy: Map<number, Set<string>>
  ended?: string
}
