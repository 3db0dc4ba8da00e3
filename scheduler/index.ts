export type { SchedulerComponents, SchedulerInit } from './assemble-scheduler.ts'
export type * from './contract.ts'
export { JOB_STATES } from './contract.ts'
export * from './errors.ts'
export type { OfferPubSub } from './market/offer-gossip.ts'
export { type Basis, CREDIT_MICRO, type Quote } from './market/price.ts'
export type { Forecast, Outlook } from './market/price-level.ts'
export { COMPUTE_PROTOCOL } from './protocol/compute-messages.ts'
export type { ComputeNetwork } from './protocol/network.ts'
export { type PeerCosts, UNCOUNTED } from './protocol/peer-costs.ts'
export { AUTHORED, asText } from './tasks/authored.ts'
export { readModel } from './tasks/onnx/read-model.ts'
export { parseSpec } from './tasks/parse-spec.ts'
export { TASK_KINDS, TASK_TYPES, type TaskSpec, type TaskType } from './tasks/registry.ts'
export { asWritten } from './tasks/written-spec.ts'
export { addressGroup } from './trust/address-group.ts'
export {
  createPolicy,
  type LivePolicy,
  type PolicySettings,
  QUIET_HOURS,
  refusal,
  type WorkerPolicy
} from './worker/lending-policy.ts'

/** The scheduler itself. Loaded where a node starts: other commands need its words only. */
export const loadScheduler = () => import('./create-scheduler.ts')
