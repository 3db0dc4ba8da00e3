import type { GossipSub } from '@libp2p/gossipsub'
import type { Libp2p } from '@libp2p/interface'
import type { PeerBudget } from './peer-budget.ts'

/** Gossipsub takes nothing from a peer below this (its default), but goes on reading what it sends. */
const GRAYLISTED_SCORE = -80
const LOOK_MS = 1_000

/** Bars who sends so much malformed gossip that gossipsub listens to it no more. Returns how to end it. */
export function barFlooders(
  libp2p: Pick<Libp2p<{ pubsub: GossipSub }>, 'getPeers' | 'services'>,
  budget: Pick<PeerBudget, 'waste'>
): () => void {
  // its class has it, its interface does not name it
  const pubsub = libp2p.services.pubsub as GossipSub & { getScore(peer: string): number }
  const timer = setInterval(() => {
    for (const peer of libp2p.getPeers()) {
      const id = peer.toString()
      if (pubsub.getScore(id) < GRAYLISTED_SCORE) budget.waste(id, Number.MAX_SAFE_INTEGER)
    }
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}
