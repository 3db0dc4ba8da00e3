import type { Failure } from './contract.ts'

/**
 * What went wrong, by the name that the node gives it: SpecError, JobFailedError, JobCancelledError, JobExpiredError,
 * InsufficientCreditsError, UnknownJobError, …; ControlError when no node answers.
 */
export class ArtelError extends Error {
  override readonly name: string
  /** HTTP status of the answer; undefined when there was none */
  readonly status?: number
  /** of a JobFailedError: what the author's code did, and where */
  readonly failure?: Failure
  /** s after which it is worth asking again, where the node said so */
  readonly retryAfter?: number

  constructor(
    name: string,
    message: string,
    init: { status?: number; failure?: Failure; retryAfter?: number; cause?: unknown } = {}
  ) {
    const { status, failure, retryAfter, cause } = init
    super(message, { cause })
    this.name = name
    this.status = status
    this.failure = failure
    this.retryAfter = retryAfter
    if (failure?.stack != null) this.stack = `${name}: ${message}\n${failure.stack}`
  }
}
