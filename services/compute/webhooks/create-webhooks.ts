import { hash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from '@libp2p/interface'
import { Webhook } from 'standardwebhooks'
import type { Job, JobReport, Scheduler } from '../../../scheduler/index.ts'
import { RequestError } from '../../host/index.ts'
import type { Resolve } from './address.ts'
import { type Notify, notify as notifySchema, type WebhookView } from './notify.ts'
import { type Message, openOutbox } from './outbox.ts'
import { post } from './post.ts'
import { nextAttempt } from './retry.ts'

/** Jobs that are watched and messages that wait, together. */
const MAX_SIZE = 10_000
/** Messages on their way at once. */
const AT_ONCE = 8
const JOB_ID_BYTES = 8
const MAX_REASON_CHARS = 500
/** A timer of Node holds no more than 24 days; the clock of a machine may be set meanwhile. */
const LOOK_AGAIN_MS = 60_000

export interface WebhooksInit {
  /** the data folder */
  folder: string
  /** as the owner changed them last: `urls` may be told, `privateRanges` (CIDR) beside public addresses */
  settings(): { urls: readonly string[]; privateRanges: readonly string[] }
  now?(): number
  resolve?: Resolve
}

export interface WebhooksComponents {
  scheduler: Pick<Scheduler, 'job' | 'addEventListener' | 'removeEventListener'>
  /** Ed25519 of the node over a domain and bytes */
  sign(domain: string, bytes: Uint8Array): Uint8Array
  log: Logger
}

export interface Webhooks {
  /**
   * A spec without its `notify`, and who is to be told.
   *
   * @throws {RequestError} it is not as it should be, or its URL is not in the owner's list
   */
  split(spec: unknown): { task: unknown; notify?: Notify }
  /** @throws {RequestError} */
  check(notify: unknown): Notify
  /**
   * Starts a job whose end will be told. Who is to be told is on disk before the job is, and gone when it is refused.
   * `id`: the job's, where it is chosen already.
   */
  start(
    notify: Notify | undefined,
    id: string | undefined,
    begin: (id?: string) => Promise<Job>
  ): Promise<Job>
  /** every receiver of the list */
  list(): WebhookView[]
  /** Ends what is on its way; what was not taken goes on with the next start. */
  stop(): Promise<void>
}

/**
 * Tells receivers how jobs ended, as Standard Webhooks has it: signed, under one id however often it is tried, for a
 * day. It starts at once, also with what ended while the node was away.
 */
export function createWebhooks({ folder, settings, now = Date.now, resolve }: WebhooksInit) {
  return ({ scheduler, sign, log }: WebhooksComponents): Webhooks => {
    const outbox = openOutbox(join(folder, 'webhooks.sqlite'))
    const stopping = new AbortController()
    let timer: NodeJS.Timeout | undefined
    let round: Promise<void> | undefined

    /** One per receiver: none can speak for this node to another. */
    const secretOf = (url: string): string =>
      `whsec_${hash('sha256', sign('artel/webhook', Buffer.from(url)), 'base64')}`

    function onEnd(report: JobReport): void {
      const wanted = outbox.find(report.job)
      if (wanted == null) return
      const type = `job.${report.state}` as Notify['events'][number]
      if (!wanted.events.includes(type)) {
        outbox.ended(report.job)
        return
      }
      const created = now()
      const body = toJson({
        type,
        timestamp: new Date(report.finished ?? created).toISOString(),
        data: report
      })
      // a job ends once: told twice it is the same message
      outbox.ended(report.job, { id: `msg_${report.job}`, url: wanted.url, body, created })
      schedule()
    }
    const listener = ({ detail }: CustomEvent<JobReport>): void => onEnd(detail)

    async function send({ id, url, body, created, attempts }: Message): Promise<void> {
      const { urls, privateRanges } = settings()
      try {
        if (!urls.includes(url)) throw new Error('it is no longer in the setting webhooks.urls')
        const at = new Date(now())
        await post(new URL(url), {
          headers: {
            'webhook-id': id,
            'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
            'webhook-signature': new Webhook(secretOf(url)).sign(id, at, body)
          },
          body,
          privateRanges,
          ...(resolve == null ? {} : { resolve }),
          signal: stopping.signal
        })
        outbox.remove(id)
      } catch (error) {
        if (stopping.signal.aborted) return
        const reason = (error as Error).message.slice(0, MAX_REASON_CHARS)
        const until = nextAttempt(created, attempts + 1, now())
        if (until == null) {
          log.error('%s was not told of %s for a day, and will not be: %s', url, id, reason)
          outbox.remove(id)
        } else {
          log('%s did not take %s: %s', url, id, reason)
          outbox.postpone(id, until, reason)
        }
      }
    }

    async function sendDue(): Promise<void> {
      for (;;) {
        const due = outbox.due(now(), AT_ONCE)
        if (due.length === 0 || stopping.signal.aborted) return
        await Promise.all(due.map(send))
      }
    }

    function schedule(): void {
      clearTimeout(timer)
      const next = outbox.next()
      if (next == null || round != null || stopping.signal.aborted) return
      timer = setTimeout(
        () => {
          round = sendDue()
            .catch((error: Error) => log.error('messages wait: %e', error))
            .finally(() => {
              round = undefined
              if (!stopping.signal.aborted) schedule()
            })
        },
        Math.min(Math.max(next - now(), 0), LOOK_AGAIN_MS)
      )
      timer.unref()
    }

    function check(value: unknown): Notify {
      const parsed = notifySchema.safeParse(value)
      if (!parsed.success) {
        const { path, message } = parsed.error.issues[0]!
        throw new RequestError(`${['notify', ...path].join('.')}: ${message}`)
      }
      const { urls } = settings()
      if (!urls.includes(parsed.data.url))
        throw new RequestError(
          `notify.url: ${parsed.data.url.slice(0, 200)} is not in the list of this node's owner; add it with: artel config set webhooks.urls`
        )
      if (outbox.size() >= MAX_SIZE)
        throw new RequestError(
          `notify: ${MAX_SIZE} jobs and messages wait to be told already; see: artel webhooks`
        )
      return parsed.data
    }

    scheduler.addEventListener('job:end', listener)
    for (const id of outbox.watched()) {
      const report = scheduler.job(id)?.report()
      // the node ended between the two, and the job was never acknowledged
      if (report == null) outbox.forget(id)
      else if (report.finished != null) onEnd(report)
    }
    schedule()

    return {
      check,

      split(spec) {
        if (typeof spec !== 'object' || spec === null || !('notify' in spec)) return { task: spec }
        const { notify, ...task } = spec
        return { task, notify: check(notify) }
      },

      async start(notify, chosen, begin) {
        if (notify == null) return begin(chosen)
        const id = chosen ?? randomBytes(JOB_ID_BYTES).toString('hex')
        outbox.watch(id, notify)
        const job = await begin(id).catch(error => {
          outbox.forget(id)
          throw error
        })
        // a delegate gives its own
        if (job.id !== id) outbox.rename(id, job.id)
        const report = job.report()
        if (report.finished != null) onEnd(report)
        return job
      },

      list: () => settings().urls.map(url => ({ url, secret: secretOf(url), ...outbox.standing(url) })),

      async stop() {
        scheduler.removeEventListener('job:end', listener)
        stopping.abort()
        clearTimeout(timer)
        await round
        outbox.close()
      }
    }
  }
}

/** Credits are decimal strings, as everywhere in the HTTP API. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_, child) => (typeof child === 'bigint' ? child.toString() : child))
}
