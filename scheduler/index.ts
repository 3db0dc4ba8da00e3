export type * from './contract.ts'
export { JOB_STATES } from './contract.ts'
export { createScheduler, type SchedulerComponents, type SchedulerInit } from './create-scheduler.ts'
export * from './errors.ts'
export type { ComputeNetwork } from './links.ts'
export type { Forecast, Outlook } from './market.ts'
export type { OfferPubSub } from './offers.ts'
export {
  createPolicy,
  type LivePolicy,
  type PolicySettings,
  QUIET_HOURS,
  type WorkerPolicy
} from './policy.ts'
export { type Basis, CREDIT_MICRO, type Quote } from './price.ts'
export {
  parseSpec,
  schema as taskSchema,
  TASK_TYPES,
  type TaskSpec,
  type TaskType,
  TYPE_LIMITS
} from './spec.ts'
export { COMPUTE_PROTOCOL } from './wire.ts'
