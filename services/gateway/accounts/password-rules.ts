import { RequestError } from '../errors.ts'

/** NIST SP 800-63B asks for 8 with a second factor and 15 without; guesses are counted here, so in between. */
const MIN_PASSWORD_CHARS = 10
export const MAX_PASSWORD_CHARS = 200
/** What the estimate reads: its time grows with the square of the length. */
const MAX_ESTIMATED_CHARS = 64
/** of zxcvbn's 0 to 4; 2 stands for more than a million guesses */
const MIN_SCORE = 2

/**
 * Refuses what would be guessed first: common passwords, keyboard rows, years, repetitions, the person's own name.
 * zxcvbn knows 40,000 of them; it is loaded when the first password is set (30 MB), never for signing in.
 *
 * @throws {RequestError} says what is wrong, never the password
 */
export async function checkPassword(password: string, name: string): Promise<void> {
  const { length } = [...password]
  if (length < MIN_PASSWORD_CHARS || length > MAX_PASSWORD_CHARS)
    throw new RequestError(
      `a password has ${MIN_PASSWORD_CHARS} to ${MAX_PASSWORD_CHARS} characters, this one has ${length}; three or four words that do not belong together are easy to remember`
    )
  const { score } = (await estimator()).check(password.slice(0, MAX_ESTIMATED_CHARS), [
    name,
    ...name.split(/[ ._@-]/),
    'artel'
  ])
  if (score < MIN_SCORE)
    throw new RequestError(
      'this password is among those that are tried first (common words, your name, years, rows of keys); take three or four words that do not belong together'
    )
}

type Estimator = InstanceType<typeof import('@zxcvbn-ts/core').ZxcvbnFactory>
let loading: Promise<Estimator> | undefined

function estimator(): Promise<Estimator> {
  loading ??= Promise.all([import('@zxcvbn-ts/core'), import('@zxcvbn-ts/language-common')]).then(
    ([{ ZxcvbnFactory }, { dictionary, adjacencyGraphs }]) =>
      new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs })
  )
  return loading
}
