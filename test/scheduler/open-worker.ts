import { defaultLogger } from '@libp2p/logger'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'
import { createKeptBlocks } from '../../scheduler/worker/kept-blocks.ts'
import { openKeptData } from '../../scheduler/worker/kept-data.ts'
import type { WorkerPolicy } from '../../scheduler/worker/lending-policy.ts'
import { UNLIMITED } from '../../scheduler/worker/unsecured-work.ts'
import type { WorkerComponents } from '../../scheduler/worker/worker.ts'

/** Lends so many slots to everybody, at the base price. */
export const openPolicy = (slots: number, changed: Partial<WorkerPolicy> = {}): WorkerPolicy => ({
  slots,
  maxProcesses: Number.POSITIVE_INFINITY,
  memoryMb: 512,
  maxSliceMs: 600_000,
  terms: { multiplier: 1, minPriceMicro: 0, tags: [] },
  admit: () => undefined,
  trusted: () => true,
  closed: () => undefined,
  observe: () => undefined,
  ...changed
})

/** A worker among friends: it signs nothing, counts nothing and trusts everybody to pay. */
export const amongFriends = (): Omit<WorkerComponents, 'sandbox'> => ({
  logger: defaultLogger(),
  blocks: { get: () => Promise.reject(new Error('no blocks')) },
  kept: createKeptBlocks(),
  stays: openKeptData({ self: 'none' }),
  sign: () => new Uint8Array(64),
  costs: UNCOUNTED,
  worked: () => undefined,
  credit: UNLIMITED
})
