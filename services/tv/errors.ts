/** The TV is not there, or went away: connection refused, closed, or its daemon does not let this key in. */
export class TvDownError extends Error {
  override readonly name = 'TvDownError'
}

/** The TV did not answer in time. What was asked of it may have happened. */
export class TvOverdueError extends Error {
  override readonly name = 'TvOverdueError'
  /** nobody can say whether it was done */
  readonly isUnknown = true
}

/** What came is not what the protocol has: no packet, or one that is too long. */
export class TvProtocolError extends Error {
  override readonly name = 'TvProtocolError'
}

/** The TV said no to what was asked of it, or did it and is not as it should be. */
export class TvFailedError extends Error {
  override readonly name = 'TvFailedError'
}

/** What was asked for cannot be: no such TV or operation, arguments that are none. */
export class TvRequestError extends Error {
  override readonly name = 'TvRequestError'
}

/** Who asks may not, or somebody else holds the TV. Nothing was sent to it. */
export class TvRefusedError extends Error {
  override readonly name = 'TvRefusedError'
}
