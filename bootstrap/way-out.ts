import { OnTrialError } from './errors.ts'

export { OnTrialError }

let isShut = false

/** Shuts the way out of this machine for all that runs in this process, until the result is disposed of. */
export function shutWayOut(): Disposable {
  isShut = true
  return {
    [Symbol.dispose]() {
      isShut = false
    }
  }
}

/**
 * Asked right before anything leaves this machine for others than peers, or is told to what hangs on it: while a release is on
 * trial nothing does. What came of a trial that fails is undone, and would be done again.
 *
 * @throws {OnTrialError}
 */
export function checkWayOut(): void {
  if (isShut) throw new OnTrialError()
}
