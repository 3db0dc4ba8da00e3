export type {
  Gateway,
  GatewayComponents,
  GatewayInit,
  GatewayNode,
  GatewayScheduler,
  GatewaySchedulerEvents,
  JobQuery,
  JobSlices
} from './contract.ts'
/** types of everything on the wire, for clients */
export type * as Wire from './schema.ts'
