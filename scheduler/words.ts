/* The words of jobs, for settings and commands: index.ts reads every kind of task, and what checks its source, with them. */
export { JOB_STATES } from './contract.ts'
export { CREDIT_MICRO } from './market/price.ts'
export { asText } from './tasks/authored.ts'
export { TASK_TYPES } from './tasks/types.ts'
export { QUIET_HOURS } from './worker/lending-policy.ts'
