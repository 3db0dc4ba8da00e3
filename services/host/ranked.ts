import { hash } from 'node:crypto'

/**
 * Peers, each once, in an order of a thing's own (rendezvous hashing): the same for all who reckon it. Things spread over them, and
 * one who comes or goes moves nobody else.
 */
export const ranked = (thing: string, peers: readonly string[]): string[] =>
  [...new Set(peers)]
    .map(peer => ({ peer, rank: hash('sha256', `${thing} ${peer}`) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ peer }) => peer)
