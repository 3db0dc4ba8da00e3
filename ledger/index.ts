export type { LedgerComponents, LedgerInit, LedgerPubSub } from './assemble-ledger.ts'
export type { Balance } from './book/account.ts'
export type { Supply } from './book/book.ts'
export type { HistoryEntry } from './book/history.ts'
export { levelOf, type Reputation, reputation, type TrustLevel, type WorkRecord } from './book/reputation.ts'
export type { Escrow, Ledger, LedgerEvents, Transfer } from './contract.ts'
export {
  AccountFrozenError,
  InsufficientCreditsError,
  InvalidOrderError,
  KeyInUseError,
  LedgerFolderError,
  LedgerStoppedError,
  MalformedError,
  UnknownEscrowError
} from './errors.ts'
export { type Evidence, signEvidence, verifyEvidence } from './records/evidence.ts'
export { createSigner, isSignedBy, type Signer } from './records/keys.ts'
export { type Leaf, merkleTree } from './records/merkle.ts'
export { faultsOf, type LedgerNetwork, quorumOf } from './records/network.ts'
export {
  createReceipts,
  isWorkSigned,
  type Receipt,
  type Receipts,
  type SignedWork,
  type SliceWork,
  signWork,
  verifyReceipt,
  type WorkProof,
  workProof
} from './records/receipt.ts'
export type { AccountId, Micro, Payment } from './records/types.ts'

/** The ledger itself. Loaded where a node starts: OrbitDB costs every other command a third of a second. */
export const loadLedger = () => import('./ledger.ts')
