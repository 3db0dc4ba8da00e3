/*
 * Who may take how much of this disk. Pure. Bytes are what blocks take on the disk: each one whole pages, so that a
 * million empty files are not free.
 */

const PAGE_BYTES = 4096
/** Never filled by files: the node's own databases must be able to write. */
export const RESERVE_BYTES = 256 << 20

/** What a block of so many bytes takes of a quota. */
export const costOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / PAGE_BYTES)) * PAGE_BYTES

export interface Lending {
  /** bytes for the files of others, in all */
  total: number
  /** bytes for the files of one peer */
  perPeer: number
  /** whether the owner of this node lends to a peer at all */
  lendsTo(peer: string): boolean
}

export interface Lent {
  /** granted so far, to all and to the peer that asks */
  total: number
  toPeer: number
}

/** Why a copy for a peer is refused, or undefined when it is welcome. `bytes`: what it will cost. */
export function refusal(
  { peer, bytes }: { peer: string; bytes: number },
  lending: Lending,
  lent: Lent,
  freeBytes: number
): string | undefined {
  if (!lending.lendsTo(peer)) return 'holds no files of this peer'
  if (lent.total + bytes > lending.total)
    return `lends ${lending.total} bytes in all, ${lent.total} are taken`
  if (lent.toPeer + bytes > lending.perPeer)
    return `lends ${lending.perPeer} bytes to one peer, ${lent.toPeer} are taken`
  if (bytes > freeBytes - RESERVE_BYTES) return 'has no room on its disk'
  return undefined
}
