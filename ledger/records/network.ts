import type { AccountId, Micro } from './types.ts'

/** What the ledger needs of a network definition. */
export interface LedgerNetwork {
  /** name of the network in every hash, topic and protocol id */
  id: string
  /** accounts of the witnesses; the position is what a certificate refers to */
  witnesses: AccountId[]
  grantMicro: Micro
  /** leading zero bits that a claim must have */
  grantBits: number
}

/** Bad witnesses that do no harm: n = 3f + 1. */
export const faultsOf = ({ witnesses }: Pick<LedgerNetwork, 'witnesses'>): number =>
  Math.floor((witnesses.length - 1) / 3)

/**
 * Votes that make a certificate: any two quorums share a good witness, for every n and not only n = 3f + 1
 * (where it is 2f + 1): ⌊(n + f) / 2⌋ + 1.
 */
export const quorumOf = (network: Pick<LedgerNetwork, 'witnesses'>): number =>
  Math.floor((network.witnesses.length + faultsOf(network)) / 2) + 1

/** Protocol of votes and of catching up. */
export const protocolOf = ({ id }: Pick<LedgerNetwork, 'id'>): string => `/artel/${id}/ledger/1`

/** Gossip topic of new log entries. */
export const topicOf = ({ id }: Pick<LedgerNetwork, 'id'>): string => `artel/${id}/ledger/1`
