import { createInterface } from 'node:readline/promises'
import { ConfirmError } from '../errors.ts'

/**
 * Asks before something that cannot be undone. A script has nobody to ask and must say --yes.
 *
 * @throws {ConfirmError} the answer is no, or nobody can answer
 */
export async function confirm(
  question: string,
  { yes }: { yes?: boolean },
  signal: AbortSignal = AbortSignal.timeout(ANSWER_MS)
): Promise<void> {
  if (yes === true) return
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new ConfirmError(`${question} Nobody can be asked here; say --yes to do it`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal }).catch(error => {
      // the cursor still stands behind the question
      process.stderr.write('\n')
      throw error.name === 'AbortError' ? new DOMException('nothing was done', 'AbortError') : error
    })
    if (!/^y(es)?$/i.test(answer.trim())) throw new ConfirmError('nothing was done')
  } finally {
    terminal.close()
  }
}

const ANSWER_MS = 5 * 60_000
