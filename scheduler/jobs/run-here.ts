import { encodeValue, type Sandbox } from '../../sandbox/index.ts'
import { StepFailedError } from '../errors.ts'
import { heard, type Part, type RunHere } from '../tasks/contract.ts'

// A result that is combined here may be larger than what travels in one message.
const MAX_RESULT_BYTES = 256 * 1024 * 1024

/**
 * The author's own reduce runs behind this node's own walls, never in the node. `requester`: this node; `trusted`: as
 * OpenOptions say. `signal` of what it gives: ends what runs.
 */
export function createRunHere(
  { requester, trusted }: { requester: string; trusted: boolean },
  { sandbox }: { sandbox: Pick<Sandbox, 'open'> }
): (signal: AbortSignal) => (part: Pick<Part, 'load'>) => RunHere {
  return signal => part => {
    const { timeoutMs, memoryMb, t: _, program: __, type: ___, ...program } = part.load
    return async input => {
      const session = await sandbox.open(program, {
        requester,
        trusted,
        limits: { timeoutMs, memoryMb, outputBytes: MAX_RESULT_BYTES },
        signal
      })
      try {
        const [outcome] = await session.run([encodeValue(input)], { signal })
        if (outcome?.ok) return outcome.value
        const failure = outcome?.failure ?? { name: 'aborted', message: 'no outcome' }
        throw new StepFailedError(heard(failure, session.said))
      } finally {
        await session.close()
      }
    }
  }
}
