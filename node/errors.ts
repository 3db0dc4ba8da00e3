import {
  EXIT,
  HOST_VERDICTS,
  MACHINE,
  NETWORK,
  PeerError,
  SERVICES,
  type ServiceModule,
  USAGE,
  type Verdict
} from '../services/index.ts'

export { EXIT } from '../services/index.ts'

/** A setting in file, environment or flags that cannot be used. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Another process works in this data folder. */
export class LockError extends Error {
  override readonly name = 'LockError'
}

/** A file of the data folder is damaged, missing or out of reach, or its disk is full. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError'
}

/** No node of this data folder is running, or it does not answer. */
export class ControlError extends Error {
  override readonly name = 'ControlError'
}

/** A file that the user named cannot be read. */
export class InputError extends Error {
  override readonly name = 'InputError'
}

/** Nobody agreed to what cannot be undone. */
export class ConfirmError extends Error {
  override readonly name = 'ConfirmError'
}

/** What the user was ready to spend is spent. */
export class BudgetError extends Error {
  override readonly name = 'BudgetError'
}

/** The answer of a running node to a request that failed; keeps the name of the error over there. */
export class RemoteError extends Error {
  override readonly name: string
  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

const INTERNAL: Verdict = { exit: EXIT.internal, status: 500 }
const JOB: Verdict = { exit: EXIT.job, status: 422 }

/** The one table from error names to what the outside sees; services bring their own. */
export const VERDICTS: ReadonlyMap<string, Verdict> = new Map(
  Object.entries<Verdict>({
    ...Object.assign({}, ...(SERVICES as readonly ServiceModule[]).map(({ errors }) => errors)),
    ...HOST_VERDICTS,
    CommanderError: USAGE,
    ConfigError: USAGE,
    ConfirmError: USAGE,
    BudgetError: { exit: EXIT.credits, status: 402 },
    InputError: USAGE,
    SpecError: USAGE,
    DataMissingError: { exit: EXIT.usage, status: 404 },
    DatasetMissingError: { exit: EXIT.usage, status: 404 },
    DatasetInUseError: { exit: EXIT.usage, status: 409 },
    UnknownJobError: { exit: EXIT.usage, status: 404 },
    BlockError: NETWORK,
    DelegateError: NETWORK,
    NotServedError: { exit: EXIT.network, status: 403 },
    UnknownDelegatedJobError: { exit: EXIT.usage, status: 404 },
    PaymentMissingError: { exit: EXIT.credits, status: 402 },
    RefundedError: { exit: EXIT.credits, status: 402 },
    ServiceKeyError: USAGE,
    NetworkError: USAGE,
    ValueError: USAGE,
    ProgramError: JOB,
    JobFailedError: JOB,
    IdentityError: MACHINE,
    ListenError: MACHINE,
    StorageError: { exit: EXIT.machine, status: 507 },
    DataFolderError: { exit: EXIT.machine, status: 507 },
    LedgerFolderError: MACHINE,
    KeyInUseError: { exit: EXIT.machine, status: 409 },
    LockError: { exit: EXIT.machine, status: 409 },
    WallMissingError: { exit: EXIT.machine, status: 503 },
    SandboxUnavailableError: { exit: EXIT.machine, status: 503 },
    ControlError: NETWORK,
    SeedError: NETWORK,
    JobCancelledError: { exit: EXIT.cancelled, status: 409 },
    JobExpiredError: { exit: EXIT.cancelled, status: 504 },
    TimeoutError: { exit: EXIT.cancelled, status: 504 },
    AbortError: { exit: EXIT.interrupted, status: 499 },
    AccountFrozenError: { exit: EXIT.credits, status: 403 },
    UnknownEscrowError: { exit: EXIT.internal, status: 404 },
    LedgerStoppedError: { exit: EXIT.machine, status: 503 },
    InvalidOrderError: USAGE,
    UncertifiedError: { exit: EXIT.cancelled, status: 504 },
    MalformedError: USAGE,
    RequestError: USAGE,
    SignInError: { exit: EXIT.usage, status: 401 },
    FirstPasswordError: { exit: EXIT.usage, status: 401 },
    SecondFactorError: { exit: EXIT.usage, status: 401 },
    AttemptsError: { exit: EXIT.usage, status: 429 },
    ForbiddenError: { exit: EXIT.usage, status: 403 },
    NotFoundError: { exit: EXIT.usage, status: 404 },
    NotFinishedError: { exit: EXIT.usage, status: 409 },
    BodyTooLargeError: { exit: EXIT.usage, status: 413 },
    MediaTypeError: { exit: EXIT.usage, status: 415 },
    TooManyRequestsError: { exit: EXIT.network, status: 429 },
    TooManyReadersError: { exit: EXIT.network, status: 503 },
    InsufficientCreditsError: { exit: EXIT.credits, status: 402 }
  })
)

/** Exit code and HTTP status of an error; what is not in the table is our own mistake. */
export function verdict(error: { name: string }): Verdict {
  // what a peer failed with may have any name
  return VERDICTS.get(error.name) ?? (error instanceof PeerError ? NETWORK : INTERNAL)
}
