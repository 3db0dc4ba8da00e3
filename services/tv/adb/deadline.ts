import { startDeadline } from '../../host/index.ts'
import { TvOverdueError } from '../errors.ts'

/**
 * The library waits for ever where a TV says nothing; whatever it is asked ends here. `work` is given a function that
 * begins the time anew.
 *
 * @throws {TvOverdueError}
 */
export async function within<T>(
  ms: number,
  what: string,
  work: (again: () => void) => Promise<T>
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = startDeadline(ms, () => reject(new TvOverdueError(`${what} within ${ms} ms`)))
  const done = work(timer.again)
  try {
    return await Promise.race([done, promise])
  } finally {
    timer.stop()
    // who lost the race is heard by nobody
    done.catch(() => undefined)
  }
}
