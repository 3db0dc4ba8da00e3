import type { GossipSub } from '@libp2p/gossipsub'

/**
 * Topics of the network `id` that a peer may name: our own `artel/<id>/…` and OrbitDB's `/orbitdb/<hash>`.
 */
export function isAllowedTopic(id: string, topic: string): boolean {
  return topic.startsWith(`artel/${id}/`) || /^\/orbitdb\/[A-Za-z0-9]{32,128}$/.test(topic)
}

/** Where the workers of the network `id` tell what they lend. */
export const offersTopic = (id: string): string => `artel/${id}/offers`

/** Where the witnesses of the network `id` tell what they wrote to the ledger's logs. */
export const ledgerTopic = (id: string): string => `artel/${id}/ledger/1`

/**
 * Replaces gossipsub's fixed list of allowed topics by a predicate.
 *
 * Its option is a list that is copied at construction, but an OrbitDB topic is the hash of a database's manifest
 * and a new one appears with every epoch of the ledger; a peer may also subscribe before we do, and gossipsub
 * forgets what it refused. What is read of the list is only `has`, so an object with that method can stand in.
 * How many topics one peer may occupy is bounded by `maxTopicBytesPerPeer`. A test holds this against updates.
 */
export function allowTopics(pubsub: GossipSub, isAllowed: (topic: string) => boolean): GossipSub {
  Object.defineProperty(pubsub, 'allowedTopics', { value: { has: isAllowed } })
  return pubsub
}
