/** An amount is larger than what the account can spend now. */
export class InsufficientCreditsError extends Error {
  override readonly name = 'InsufficientCreditsError'
  readonly available: bigint
  readonly needed: bigint
  constructor(available: bigint, needed: bigint) {
    super(
      `${needed} micro-credits are needed and ${available} are available. Earn some by lending this computer, or ask for less.`
    )
    this.available = available
    this.needed = needed
  }
}

/** A settlement, or a question about one, for a job that has no escrow here. */
export class UnknownEscrowError extends Error {
  override readonly name = 'UnknownEscrowError'
  constructor(job: string) {
    super(`Job ${job} has no escrow of this account; call escrow() before settle().`)
  }
}

/** An order that no witness would certify. */
export class InvalidOrderError extends Error {
  override readonly name = 'InvalidOrderError'
}

/** The witnesses refuse this account for good. */
export class AccountFrozenError extends Error {
  override readonly name = 'AccountFrozenError'
  constructor(account: string, reason: string) {
    super(
      `Account ${account} is frozen: ${reason}. Two orders with the same number were signed with its key (was the data folder copied or restored?). Use a new identity.`
    )
  }
}

/** Another process speaks for this account: two copies of one data folder, or one key in two folders. */
export class KeyInUseError extends Error {
  override readonly name = 'KeyInUseError'
  constructor(account: string) {
    super(
      `Another process speaks with the key of this node (account ${account}): this data folder, or its key, is a copy. Two of them would sign different orders with one number, which freezes the account, so this one signs nothing. Stop the other first, or start this one as a node of its own in an empty folder (--data).`
    )
  }
}

/** The ledger's folder is of another account, or what cannot be made again is damaged. */
export class LedgerFolderError extends Error {
  override readonly name = 'LedgerFolderError'
}

/** Bytes from a peer or from disk that are not what they claim to be. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** The ledger is not running. */
export class LedgerStoppedError extends Error {
  override readonly name = 'LedgerStoppedError'
  constructor() {
    super('The ledger is stopped; start it first.')
  }
}
