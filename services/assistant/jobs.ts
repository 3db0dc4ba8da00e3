import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Question } from './ask.ts'
import { nextUser } from './core/turns.ts'
import { AssistantError } from './errors.ts'
import type { Json } from './provider/send.ts'
import type { Job, JobStore } from './store/jobs.ts'

const AT_ONCE = 2
/** of one user that wait or run */
const PER_USER = 100

export interface JobsComponents {
  store: JobStore
  /** throws AssistantError */
  draw(question: Question, signal: AbortSignal): Promise<Json>
  now: () => number
  /** what is a fault of this node; undefined: it works */
  onError(error: Error | undefined): void
}

/** Images as jobs: two at once, users in turn, begun anew where the node ended in between. */
export function createJobs({ store, draw, now, onError }: JobsComponents) {
  const running = new Map<string, AbortController>()
  const served = new Map<string, number>()
  let turn = 0
  let stopping: AbortSignal | undefined

  function fill(): void {
    while (stopping?.aborted === false && running.size < AT_ONCE) {
      const user = nextUser(store.waiting(), served)
      if (user == null) return
      served.set(user, ++turn)
      const job = store.first(user)
      const controller = new AbortController()
      store.set(job.id, 'running')
      running.set(job.id, controller)
      // a full disk, where not even that it has failed can be written
      work(job, AbortSignal.any([stopping, controller.signal])).catch(onError)
    }
  }

  async function work(job: Job, signal: AbortSignal): Promise<void> {
    try {
      const answer = await inTurn(store.question(job), signal)
      await store.writeAnswer(job, answer)
      // it was removed meanwhile
      if (signal.aborted) {
        if (running.get(job.id)?.signal.aborted) await store.remove(job.id)
      } else store.set(job.id, 'done', now())
      onError(undefined)
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof AssistantError)) onError(error as Error)
      store.set(job.id, 'failed', now(), (error as Error).message)
    } finally {
      running.delete(job.id)
      fill()
    }
  }

  /** Whose user has as many calls as he may waits for one of them. */
  async function inTurn(question: Question, signal: AbortSignal): Promise<Json> {
    for (;;)
      try {
        return await draw(question, signal)
      } catch (error) {
        if (!(error instanceof AssistantError) || error.code !== 'too_many_calls') throw error
        await delay(error.retryAfterMs, undefined, { signal })
      }
  }

  /** @throws {AssistantError} there is none of this user */
  function own(user: string, id: string): Job {
    const job = store.get(id)
    if (job == null || job.user !== user)
      throw new AssistantError(404, 'invalid_request_error', 'job_not_found', `you have no job ${id}`)
    return job
  }

  async function end(id: string): Promise<void> {
    running.get(id)?.abort(new AssistantError(499, 'api_error', 'ended', 'the job was ended'))
    await store.remove(id)
  }

  return {
    start(signal: AbortSignal): void {
      stopping = signal
      fill()
    },
    /** @throws {AssistantError} the user has too many */
    add(question: Question): Job {
      if (store.count(question.user) >= PER_USER)
        throw new AssistantError(
          429,
          'rate_limit_error',
          'too_many_jobs',
          `you have ${PER_USER} jobs that wait or run; fetch or end one`
        )
      const job = { id: `job-${randomUUID()}`, user: question.user, created: now() }
      store.add(job, question)
      fill()
      return store.get(job.id)!
    },
    /** @throws {AssistantError} */
    async get(user: string, id: string): Promise<{ job: Job; answer?: Json }> {
      const job = own(user, id)
      return job.state === 'done' ? { job, answer: await store.readAnswer(job) } : { job }
    },
    /** @throws {AssistantError} */
    remove: (user: string, id: string): Promise<void> => end(own(user, id).id),
    async forget(user: string): Promise<void> {
      for (const { id } of store.of(user)) await end(id)
    },
    async expire(before: number): Promise<void> {
      for (const { id } of store.endedBefore(before)) await end(id)
    }
  }
}

/** As its user sees it; times in s since 1970, as OpenAI has them. */
export const shown = ({ id, state, error, created, ended }: Job) => ({
  id,
  object: 'job',
  status: state,
  created: Math.floor(created / 1000),
  ...(ended == null ? {} : { ended: Math.floor(ended / 1000) }),
  ...(error == null ? {} : { error: { message: error } })
})
