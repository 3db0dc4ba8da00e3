export { barFlooders } from './bar-flooders.ts'
export { IdentityError, ListenError, NetworkError, OnTrialError, SeedError } from './errors.ts'
export type { HeliaNode, HeliaNodeInit } from './helia-node.ts'
export { createIdentity, type Identity, loadOrCreateIdentity } from './identity.ts'
export type { ArtelServices, Libp2pOptionsInit } from './libp2p-options.ts'
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
export { createPeerBudget, PEER_LIMITS, type PeerBudget, type PeerBudgetInit } from './peer-budget.ts'
export {
  DEFAULT_LISTEN,
  type Limits,
  limitsSchema,
  type NetworkSettings,
  networkSettingsSchema
} from './settings.ts'
export { ledgerTopic, offersTopic } from './topics.ts'

/** Loaded when it is asked for, as libp2p is. @see {@link import('./fetch-network.ts').fetchNetwork} */
export const fetchNetwork: typeof import('./fetch-network.ts').fetchNetwork = async (address, options) =>
  (await import('./fetch-network.ts')).fetchNetwork(address, options)

/** libp2p and Helia. Loaded where a node starts: they are most of what every other command would read for nothing. */
export async function loadHelia() {
  const [{ createHeliaNode }, { libp2pOptions, PROVIDER_VALIDITY_MS }] = await Promise.all([
    import('./helia-node.ts'),
    import('./libp2p-options.ts')
  ])
  return { createHeliaNode, libp2pOptions, PROVIDER_VALIDITY_MS }
}

/** libp2p without Helia, for a node that keeps no blocks. */
export async function loadBareNode() {
  const [{ createBareNode }, { libp2pOptions, PROVIDER_VALIDITY_MS }] = await Promise.all([
    import('./bare-node.ts'),
    import('./libp2p-options.ts')
  ])
  return { createBareNode, libp2pOptions, PROVIDER_VALIDITY_MS }
}
