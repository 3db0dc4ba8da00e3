/** The caller may not do this. */
export class ForbiddenError extends Error {
  override readonly name = 'ForbiddenError'
}

/** The token or session is unknown or over, or there is none. */
export class UnauthorizedError extends Error {
  override readonly name = 'UnauthorizedError'
}

/** Input that is not what the operation takes. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
}

/** What is there already stands against it. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError'
}

/** No service or operation of this name. */
export class UnknownOperationError extends Error {
  override readonly name = 'UnknownOperationError'
}

/** The service is switched off, and will not come by waiting; the message says how to switch it on. */
export class ServiceOffError extends Error {
  override readonly name = 'ServiceOffError'
  constructor(name: string, setting: string) {
    super(`${name} is off; switch it on with: artel config set ${setting} true`)
  }
}

/** The service is starting, or has failed; its state says why. */
export class ServiceDownError extends Error {
  override readonly name = 'ServiceDownError'
  /** s after which it is worth asking again, where it comes by itself */
  readonly retryAfter?: number
  constructor(message: string, retryAfter?: number) {
    super(message)
    this.retryAfter = retryAfter
  }
}

/** An operation, message or start that took longer than it may. */
export class OverdueError extends Error {
  override readonly name = 'OverdueError'
}

/** A service is declared so that it cannot work: a name, a path or a capability is wrong. */
export class DeclarationError extends Error {
  override readonly name = 'DeclarationError'
}

/** The folder of a service was written by a newer version. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

/** A release that is not what was signed, does not even say its version, or cannot take the place of what runs. */
export class ReleaseError extends Error {
  override readonly name = 'ReleaseError'
}

/** A signed document that is none, is not signed by whom it must be, is too long, or goes back. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError'
}

/** A peer cannot be reached, or does not have the service. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
}

/** What a peer answered instead of the answer; `name` is what the peer called it. */
export class PeerError extends Error {
  override readonly name: string
  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

/** Whether an error of a handler says that the service does not work: one that nobody knows, or a time that is over. */
export function isFault(error: Error, isKnown: (error: Error) => boolean): boolean {
  return error instanceof OverdueError || !isKnown(error)
}
