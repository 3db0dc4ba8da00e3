export { ConflictError, ForbiddenError, RequestError, UnauthorizedError } from '../host/index.ts'

export class NotFoundError extends Error {
  override readonly name = 'NotFoundError'
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

/** As many follow what happens as one node tells it to. */
export class TooManyReadersError extends Error {
  override readonly name = 'TooManyReadersError'
}

/** The address cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}
