export type {
  Escrow,
  FaceInit,
  Gateway,
  GatewayComponents,
  GatewayInit,
  GatewayNode,
  Meeting
} from './contract.ts'
export { createGateway } from './create-gateway.ts'
export * from './errors.ts'
/** types of what travels beside the operations, for clients */
export type * as Wire from './schema.ts'
