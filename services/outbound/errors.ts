/** An address that this node does not go to; the message says which and why. */
export class ForbiddenAddressError extends Error {
  override readonly name = 'ForbiddenAddressError'
}

/** The other side could not be reached, broke off, or answered what cannot be read. */
export class FetchError extends Error {
  override readonly name = 'FetchError'
}

/** It took longer than it may. */
export class FetchOverdueError extends Error {
  override readonly name = 'FetchOverdueError'
}

/** The answer is longer than it may be. */
export class FetchTooLongError extends Error {
  override readonly name = 'FetchTooLongError'
}

/** The site does not want to be asked: by its robots.txt, or not now. */
export class UnwelcomeError extends Error {
  override readonly name = 'UnwelcomeError'
  /** ms since 1970 from when on it may be asked again, where it said so */
  readonly until?: number
  constructor(message: string, until?: number) {
    super(message)
    this.until = until
  }
}

/** Chromium is switched off, missing, or has ended. */
export class BrowserError extends Error {
  override readonly name = 'BrowserError'
}
