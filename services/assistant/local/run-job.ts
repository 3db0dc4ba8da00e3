import type { Jobs } from '../../host/index.ts'
import { ProviderError } from '../provider/send.ts'

/** Where no worker comes a job would wait for ever. */
const ANSWER_MS = 60_000

/**
 * What a job of the owner's gives, for which somebody waits.
 *
 * @throws {ProviderError} no worker has answered in a minute, or it has failed
 */
export async function runJob(jobs: Jobs | undefined, spec: object, signal: AbortSignal): Promise<unknown> {
  if (jobs == null) throw new ProviderError({ kind: 'connect' }, 'there are no jobs on this node')
  const late = AbortSignal.timeout(ANSWER_MS)
  const ending = AbortSignal.any([signal, late])
  try {
    const job = await jobs.submit(spec, { signal: ending })
    try {
      return await job.result({ signal: ending })
    } finally {
      // of one that is done nothing is left to end
      if (ending.aborted) await job.cancel('nobody waits for it')
    }
  } catch (error) {
    signal.throwIfAborted()
    if (late.aborted) throw new ProviderError({ kind: 'overdue' }, `no worker answered in ${ANSWER_MS} ms`)
    const { name, message } = error as Error
    throw new ProviderError({ kind: 'status', status: 503, code: name }, message)
  }
}
