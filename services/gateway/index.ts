export type {
  Gateway,
  GatewayComponents,
  GatewayInit,
  GatewayNode,
  GatewayScheduler
} from './contract.ts'
export { createGateway } from './create-gateway.ts'
export * from './errors.ts'
/** types of everything on the wire, for clients */
export type * as Wire from './schema.ts'
