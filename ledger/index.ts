export type {
  AccountId,
  Balance,
  Escrow,
  HistoryEntry,
  Ledger,
  LedgerEvents,
  Micro,
  Payment,
  Supply
} from './contract.ts'
export {
  AccountFrozenError,
  InsufficientCreditsError,
  InvalidOrderError,
  LedgerStoppedError,
  MalformedError,
  UnknownEscrowError
} from './errors.ts'
export { type Evidence, signEvidence, verifyEvidence } from './evidence.ts'
export { createSigner, type Signer } from './keys.ts'
export { createLedger } from './ledger.ts'
export { merkleTree } from './merkle.ts'
export { faultsOf, type LedgerNetwork, quorumOf } from './network.ts'
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
} from './receipt.ts'
export { levelOf, type Reputation, reputation, type TrustLevel, type WorkRecord } from './reputation.ts'
export type { LedgerComponents, LedgerInit, LedgerPubSub } from './running.ts'
