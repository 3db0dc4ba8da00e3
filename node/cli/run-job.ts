import { asText } from '../../scheduler/words.ts'
import type { Compute } from '../../services/index.ts'
import type { Operations } from '../operations.ts'

/** So long an answer to a submission is waited for after an interruption: a job whose id nobody has cannot be cancelled. */
const ANSWER_MS = 1_000

export interface RunInit {
  /** peer that coordinates it in place of this node */
  delegate?: string
  /** its id, as soon as there is one */
  onJob?(job: string): void
  onProgress?(progress: Compute.Progress): void
  signal: AbortSignal
}

/** A job from its spec to its result. It goes on when nobody waits any more. */
export async function runJob(
  { compute }: Operations,
  task: unknown,
  { delegate, onJob, onProgress, signal }: RunInit
): Promise<{ result: unknown; report: Compute.JobReport }> {
  const spec = asText(task)
  signal.throwIfAborted()
  const late = new AbortController()
  const interrupted = (): void => void setTimeout(() => late.abort(signal.reason), ANSWER_MS).unref()
  signal.addEventListener('abort', interrupted)
  const { job } = await compute
    .submit({ spec, ...(delegate == null ? {} : { delegate }) }, { signal: late.signal })
    .finally(() => signal.removeEventListener('abort', interrupted))
  const id = job.job
  onJob?.(id)
  signal.throwIfAborted()
  const report = await compute.follow({ id }, { signal, ...(onProgress == null ? {} : { onProgress }) })
  return { result: await compute.result({ id }, { signal }), report }
}
