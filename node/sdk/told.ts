/** What the node tells a program: jobs, prices, credits, the network. Part of contract.ts, and like it of no type of Node. */

export type JobState = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled' | 'expired'
/** What the author's code did. */
export interface Failure {
  name: 'threw' | 'timeout' | 'out-of-memory' | 'invalid-result' | 'aborted' | 'wall-missing'
  message: string
  /** frames of the author's own code */
  stack?: string
  /** what the process had printed */
  said?: string
  /** item, block or row */
  unit?: number
}
export interface Progress {
  job: string
  state: JobState
  done: number
  total: number
  /** workers that hold a lease now */
  workers: number
  retries: number
  elapsedMs: number
  remainingMs?: number
  paid: bigint
  waiting?: WaitingFor
}
/** Why nothing of a job is at work: for people, and what it asks for and nobody offers. */
export interface WaitingFor {
  message: string
  unmet: { requirement: 'memory' | 'type' | 'tags' | 'price'; asked: string; offered: string }[]
}
export interface JobReport {
  job: string
  /** task type, or batch */
  type: string
  name?: string
  state: JobState
  submitted: number
  finished?: number
  done: number
  total: number
  retries: number
  /** the charge never exceeds it */
  bound: bigint
  paid: bigint
  shares: { worker: string; slices: number; units: number; paid: bigint }[]
  /** content id of the canonical result bytes */
  cid?: string
  failure?: Failure
  memoOf?: string
  /** why it does not go on; absent while anything is at work, and after its end */
  waiting?: WaitingFor
  /** who gets nothing of it, why, and until when (ms since 1970) */
  barred?: { worker: string; reason: string; until?: number }[]
}
export interface Quote {
  expected: bigint
  bound: bigint
  /** without the bound; where it is more, workers may refuse */
  fair: bigint
  basis: 'measured' | 'calibrated' | 'default'
  cpuMs?: number
  factors: Record<'market' | 'scarcity' | 'reputation' | 'multiplier' | 'verification' | 'priority', number>
}
export interface Forecast {
  /** market factor; 1 is the base price */
  now: number
  inOneHour: { level: number; low: number; high: number }
  inSixHours: { level: number; low: number; high: number }
}
export interface Supply {
  granted: bigint
  burnt: bigint
  total: bigint
}
export interface Balance {
  account: string
  available: bigint
  reserved: bigint
  supply: Supply
}
export interface HistoryEntry {
  seq: number
  time: number
  type: 'grant' | 'escrow' | 'settle' | 'transfer'
  from: string
  to?: string
  amount: bigint
  job?: string
  memo?: string
}
export interface Reputation {
  account: string
  score: number
  level: 'excellent' | 'good' | 'average' | 'poor' | 'terrible'
  success: number
  quality: number
  consistency: number
  age: number
  cooperation: number
  isCapped: boolean
}
export interface Receipt {
  worker: string
  slice: number
  receipt: Uint8Array
}
export interface Worker {
  peer: string
  /** determinism class: V8 version and architecture */
  class: string
  slots: number
  walled: boolean
  multiplier: number
  /** per CPU second, below which it refuses */
  minPrice: bigint
  refusal?: string
  connected: boolean
  leased: number
  accepted: number
  failed: number
}
export interface Peer {
  peer: string
  address: string
  direction: 'inbound' | 'outbound'
  rttMs?: number
  worker?: Worker
}
export interface Network {
  version: string
  /** peer id and account of the node */
  id: string
  role: string
  network: string
  name: string
  addresses: string[]
  peers: number
  workers: number
  slots: number
  walled: boolean
  pid: number
  epoch: number
  witnesses: string[]
  supply: Supply
  market: number
}
