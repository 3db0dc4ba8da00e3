/** The key file of this node is missing a wall or is not a key. Never solved by overwriting: the key is the account. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError'
}

/** A network definition that cannot be read, is not well-formed, or is not signed by its founder. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
}

/** The node could not listen on an address that it was told to listen on. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** The seed did not answer with a network definition that it may speak for. */
export class SeedError extends Error {
  override readonly name = 'SeedError'
}

/** A release is on trial: until it is known to work it does nothing for anybody. */
export class OnTrialError extends Error {
  override readonly name = 'OnTrialError'
  constructor() {
    super(
      'a release is on trial here, and works for nobody until it is known to work; try again in a minute, and start the node where none runs'
    )
  }
}
