/** What this node counts of what a peer costs it; the same for all protocols of a node. */
export interface PeerCosts {
  /** Takes bytes into what is kept for the peer, before they are read. false: that is too much, and nothing was taken. */
  keep(peer: string, bytes: number): boolean
  free(peer: string, bytes: number): void
  /** Counts ms of this node's time that came to nothing: malformed, refused, dropped before it was used. */
  waste(peer: string, ms: number): void
}

/** For networks of friends, where nothing is counted. */
export const UNCOUNTED: PeerCosts = { keep: () => true, free: () => undefined, waste: () => undefined }
