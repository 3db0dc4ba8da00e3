export { barFlooders } from './bar-flooders.ts'
export { IdentityError, ListenError, NetworkError, SeedError } from './errors.ts'
export { createHeliaNode, type HeliaNode, type HeliaNodeInit } from './helia-node.ts'
export { createIdentity, type Identity, loadOrCreateIdentity } from './identity.ts'
export {
  type ArtelServices,
  type Libp2pOptionsInit,
  libp2pOptions,
  PROVIDER_VALIDITY_MS
} from './libp2p-options.ts'
export {
  type CreateNetworkInit,
  createNetwork,
  DEFAULT_GRANT_MICRO,
  loadNetwork,
  type NetworkDefinition,
  networkId,
  networkSchema,
  peerOf,
  saveNetwork,
  signNetwork,
  type UnsignedNetwork,
  verifyNetwork
} from './network.ts'
export { fetchNetwork } from './network-exchange.ts'
export { createPeerBudget, PEER_LIMITS, type PeerBudget, type PeerBudgetInit } from './peer-budget.ts'
export {
  DEFAULT_LISTEN,
  type Limits,
  limitsSchema,
  type NetworkSettings,
  networkSettingsSchema
} from './settings.ts'
export { ledgerTopic, offersTopic } from './topics.ts'
