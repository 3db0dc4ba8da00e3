import type { BlockFiles } from './block-files.ts'
import type { Log } from './fetch.ts'
import type { Peers } from './messages.ts'
import type { PinRows } from './pin-rows.ts'
import type { Lending } from './quota.ts'
import type { Policy } from './replicas.ts'
import type { Room } from './room.ts'
import type { Store } from './store.ts'
import type { Transfers } from './transfers.ts'

/** Settings as the parts use them: bytes and ms. They may change at any time. */
export interface Settings {
  quotaBytes: number
  /** of the largest file that is taken from others */
  maxSize: number
  /** copies on other nodes, where nobody says how many */
  replicas: number
  lending: Lending
  /** peers that are given blocks at once */
  giveAtOnce: number
  policy: Policy
}

/** What the parts of the service share. */
export interface Context {
  store: Store
  pins: PinRows
  files: BlockFiles
  room: Room
  peers: Peers
  transfers: Transfers
  settings(): Settings
  /** something about this file has changed */
  changed(cid: string): void
  now(): number
  /** aborts when the service stops */
  signal: AbortSignal
  log: Log
}
