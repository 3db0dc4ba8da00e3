export { ForbiddenError, RequestError } from '../host/index.ts'

export class UnauthorizedError extends Error {
  override readonly name = 'UnauthorizedError'
}

export class NotFoundError extends Error {
  override readonly name = 'NotFoundError'
}

export class UnknownJobError extends Error {
  override readonly name = 'UnknownJobError'
  constructor(id: string) {
    super(`there is no job ${id.slice(0, 64)} on this node; GET /api/v1/tasks lists those that there are`)
  }
}

/** The same idempotency key came with another body. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError'
}

export class NotFinishedError extends Error {
  override readonly name = 'NotFinishedError'
  constructor(id: string, state: string) {
    super(
      `job ${id} is ${state} and has no result yet; ask with ?wait=MS, or follow /api/v1/tasks/${id}/events`
    )
  }
}

export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError'
}

export class MediaTypeError extends Error {
  override readonly name = 'MediaTypeError'
}

export class TooManyRequestsError extends Error {
  override readonly name = 'TooManyRequestsError'
}

/** The address cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}
