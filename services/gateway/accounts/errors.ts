/** Name, password or code are wrong; which of them is not said. */
export class SignInError extends Error {
  override readonly name = 'SignInError'
}

/** The password is right, and this account has a second factor: its code is missing. */
export class SecondFactorError extends Error {
  override readonly name = 'SecondFactorError'
}

/** Name and first password are right: it is good once, to choose a password. */
export class FirstPasswordError extends Error {
  override readonly name = 'FirstPasswordError'
}

/** Too many failed before. */
export class AttemptsError extends Error {
  override readonly name = 'AttemptsError'
  /** s until the next attempt may come */
  readonly retryAfter: number
  constructor(waitMs: number) {
    const retryAfter = Math.ceil(waitMs / 1000)
    super(`too many attempts failed; try again in ${retryAfter} s`)
    this.retryAfter = retryAfter
  }
}
