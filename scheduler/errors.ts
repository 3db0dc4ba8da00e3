import type { Failure } from '../sandbox/index.ts'

/** A task spec that cannot run; the message names the field, the value and what to do. */
export class SpecError extends Error {
  override readonly name = 'SpecError'
  readonly field: string
  constructor(field: string, message: string) {
    super(`${field}: ${message}`)
    this.field = field
  }
}

/** Data that a spec or a slice names by CID cannot be had, or is not data. */
export class DataMissingError extends Error {
  override readonly name = 'DataMissingError'
  readonly cid: string
  constructor(cid: string, reason: string) {
    super(
      `${cid} ${reason}. Add the data on this node (\`artel run --file FIELD=PATH\`), or connect to one that has it`
    )
    this.cid = cid
  }
}

/** There is no such dataset, or there is none any more. */
export class DatasetMissingError extends Error {
  override readonly name = 'DatasetMissingError'
  constructor(
    id: string,
    reason = 'is none of the datasets of this node: it was released, its time is over, or it never was'
  ) {
    super(`${id.slice(0, 64)} ${reason}; see those that there are with: artel data list`)
  }
}

/** A dataset is not let go of while a job takes its items. */
export class DatasetInUseError extends Error {
  override readonly name = 'DatasetInUseError'
  constructor(id: string, job: string) {
    super(`dataset ${id} is in use by job ${job}; wait for its end, or cancel it`)
  }
}

/** The author's code failed on every worker that tried; `failure` is what it did, `unit` where. */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError'
  readonly failure: Failure & { unit?: number }
  constructor(job: string, failure: Failure & { unit?: number }) {
    super(`Job ${job} failed (${failure.name}): ${failure.message}`)
    this.failure = failure
    if (failure.stack != null) this.stack = `${this.message}\n${failure.stack}`
  }
}

/** The author's code failed in a step that runs on this node; becomes the failure of its job. */
export class StepFailedError extends Error {
  override readonly name = 'StepFailedError'
  readonly failure: Failure
  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.message, options)
    this.failure = failure
    if (failure.stack != null) this.stack = failure.stack
  }
}

/** What is kept of a job on disk cannot be read; becomes its failure. */
export class DamagedJobError extends Error {
  override readonly name = 'DamagedJobError'
  constructor(job: string, directory: string, reason: string) {
    super(`what is kept of job ${job} in ${directory} is lost or damaged (${reason}); submit it again`)
  }
}

export class JobCancelledError extends Error {
  override readonly name = 'JobCancelledError'
  constructor(job: string, reason: string) {
    super(`Job ${job} was cancelled: ${reason}`)
  }
}

export class JobExpiredError extends Error {
  override readonly name = 'JobExpiredError'
  constructor(job: string, deadlineMs: number, done: number, total: number) {
    super(
      `Job ${job} was not finished within its deadline of ${deadlineMs} ms (${done} of ${total} units). Give it a longer \`deadline\`, or see \`artel peers\` whether workers are there.`
    )
  }
}

/** This node's own disk is full or broken. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  constructor(directory: string, reason: string) {
    super(`this node cannot write to ${directory} (${reason}); make room there and try again`)
  }
}

/** A peer broke the compute protocol; the stream is closed. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** A block could not be had from a peer, or it sent a wrong one. */
export class BlockError extends Error {
  override readonly name = 'BlockError'
}

/** No stream to the peer could be opened. */
export class PeerUnreachableError extends BlockError {}

/** The delegate does not coordinate jobs of this peer. */
export class NotServedError extends Error {
  override readonly name = 'NotServedError'
  constructor(peer: string, reason = 'its owner can allow it with the setting delegateFor') {
    super(`this node coordinates no jobs of ${peer}; ${reason}`)
  }
}

/** A delegated job that is not there, or that another peer submitted. */
export class UnknownDelegatedJobError extends Error {
  override readonly name = 'UnknownDelegatedJobError'
  constructor(job: string) {
    super(`there is no job ${job} that you submitted here`)
  }
}

export class PaymentMissingError extends Error {
  override readonly name = 'PaymentMissingError'
  constructor(bound: bigint, ms: number) {
    super(`the bound of ${bound} micro-credits did not arrive within ${ms} ms; the job was not started`)
  }
}

/** The job of this key was refused before, and what was paid for it given back: the same key starts nothing any more. */
export class RefundedError extends Error {
  override readonly name = 'RefundedError'
  constructor(job: string) {
    super(`job ${job} is not started, and what was paid for it was given back; submit it again`)
  }
}

/** A delegate refused or failed; `reason` is the name of its error. */
export class DelegateError extends Error {
  override readonly name = 'DelegateError'
  readonly reason: string
  constructor(delegate: string, reason: string, message: string) {
    super(`delegate ${delegate}: ${message}`)
    this.reason = reason
  }
}
