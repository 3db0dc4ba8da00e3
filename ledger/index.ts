export type {
  AccountId,
  Balance,
  Escrow,
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
export { createLedger } from './ledger.ts'
export { faultsOf, type LedgerNetwork, quorumOf } from './network.ts'
export type { LedgerComponents, LedgerInit, LedgerPubSub } from './running.ts'
