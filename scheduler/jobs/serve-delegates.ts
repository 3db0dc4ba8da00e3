import { randomBytes } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import type { ComponentLogger, Connection, Logger, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { z } from 'zod'
import { framed } from '../../bootstrap/framing.ts'
import type { Ledger } from '../../ledger/index.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { Job, JobReport } from '../contract.ts'
import {
  DelegateError,
  NotServedError,
  PaymentMissingError,
  ProtocolError,
  UnknownDelegatedJobError
} from '../errors.ts'
import { boundOf } from '../market/price.ts'
import { MAX_FRAME_BYTES } from '../protocol/limits.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import { JobHandle } from './job-handle.ts'

/**
 * A job that another node coordinates. One request and one answer per stream, canonical values behind a varint length.
 * The submitter is the authenticated peer of the connection; nobody else can ask for, fetch or cancel its jobs.
 * It pays the bound in advance by a ledger transfer, and gets back what the job did not cost.
 */
export const DELEGATE_PROTOCOL = '/artel/delegate/1'

const MAX_STREAMS = 8
const READ_TIMEOUT_MS = 10_000
// A payment is certified by the witnesses well within this time, or not at all.
const PAYMENT_TIMEOUT_MS = 20_000
// How long the delegate holds a question for the result before it says that the job still runs.
const HOLD_MS = 1_000
const REQUEST_TIMEOUT_MS = PAYMENT_TIMEOUT_MS + 40_000
// An unreachable delegate is asked again for this long; the job goes on there in any case.
const PATIENCE_MS = 60_000
const RETRY_MS = 1_000

const key = z.string().regex(/^[0-9a-f]{32}$/)
const job = z.string().regex(/^[0-9a-f]{16}$/)
const spec = z.custom<Uint8Array>(value => value instanceof Uint8Array, 'must be bytes')
const request = z.discriminatedUnion('t', [
  /** would you, and for how much at most? */
  z.object({ t: z.literal('ask'), spec }),
  /** the bound is paid under this key */
  z.object({ t: z.literal('start'), key, spec }),
  z.object({ t: z.literal('result'), job }),
  z.object({ t: z.literal('cancel'), job })
])
type Request = z.output<typeof request>

const micro = z.bigint().min(0n)
const report = z.object({
  job: z.string(),
  type: z.string(),
  state: z.enum(['queued', 'running', 'completed', 'failed', 'cancelled', 'expired']),
  submitted: z.number(),
  finished: z.number().optional(),
  done: z.number(),
  total: z.number(),
  retries: z.number(),
  bound: micro,
  paid: micro,
  shares: z
    .array(z.object({ worker: z.string(), slices: z.number(), units: z.number(), paid: micro }))
    .max(10_000),
  cid: z.string().optional(),
  failure: z
    .object({
      name: z.enum(['threw', 'timeout', 'out-of-memory', 'invalid-result', 'aborted', 'wall-missing']),
      message: z.string(),
      stack: z.string().optional(),
      unit: z.number().optional()
    })
    .optional(),
  memoOf: z.string().optional()
})
const answer = z.discriminatedUnion('t', [
  z.object({ t: z.literal('price'), bound: micro }),
  z.object({ t: z.literal('job'), job, report }),
  z.object({ t: z.literal('report'), report, result: spec.optional() }),
  z.object({ t: z.literal('error'), name: z.string().max(64), message: z.string().max(4000) })
])
type Answer = z.output<typeof answer>

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS delegated (
    owner TEXT NOT NULL, key TEXT NOT NULL, job TEXT NOT NULL UNIQUE, bound INTEGER NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (owner, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS delegated_open ON delegated (refunded) WHERE refunded = 0;
  CREATE TABLE IF NOT EXISTS delegations (
    key TEXT PRIMARY KEY, delegate TEXT NOT NULL, spec BLOB NOT NULL, job TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS delegations_job ON delegations (job);
`

export type DelegationLedger = Pick<
  Ledger,
  'account' | 'transfer' | 'transferOf' | 'addEventListener' | 'removeEventListener'
>

export interface DelegationInit {
  /** peers whose jobs this node coordinates; `*` = everybody */
  serves: readonly string[]
  db: DatabaseSync
  /** Checks a spec; throws SpecError. */
  parse(spec: unknown): TaskSpec
  /** Fetches the data that a spec names by CID from its submitter, so that it can go away. */
  copyData(spec: unknown, from: string, options: { signal: AbortSignal }): Promise<void>
  /** Starts a job of the given id, or gives the one that has it. */
  submit(spec: unknown, id: string, options: { signal: AbortSignal }): Promise<Job>
  job(id: string): Job | undefined
}

/** Coordinates jobs for others, and hands own ones to others. */
export function createDelegation(
  init: DelegationInit,
  components: { network: ComputeNetwork; ledger: DelegationLedger; logger: ComponentLogger }
) {
  const { db, serves } = init
  const { network, ledger } = components
  const log: Logger = components.logger.forComponent('artel:delegation')
  const controller = new AbortController()
  db.exec(SCHEMA)
  const selectByKey = db.prepare('SELECT job, bound, refunded FROM delegated WHERE owner = ? AND key = ?')
  const selectOwner = db.prepare('SELECT owner FROM delegated WHERE job = ?')
  const insertServed = db.prepare('INSERT INTO delegated (owner, key, job, bound) VALUES (?, ?, ?, ?)')
  const selectOpen = db.prepare('SELECT owner, job, bound FROM delegated WHERE refunded = 0')
  const setRefunded = db.prepare('UPDATE delegated SET refunded = 1 WHERE job = ?')
  const insertOut = db.prepare('INSERT INTO delegations (key, delegate, spec) VALUES (?, ?, ?)')
  const setJob = db.prepare('UPDATE delegations SET job = ? WHERE key = ?')
  const removeOut = db.prepare('DELETE FROM delegations WHERE key = ?')
  const selectOut = db.prepare('SELECT delegate, spec FROM delegations WHERE job = ?')
  const selectUnstarted = db.prepare('SELECT key, delegate, spec FROM delegations WHERE job IS NULL')
  /** starts under way, by owner and key: a repeated one joins */
  const starting = new Map<string, Promise<Job>>()
  /** own jobs at delegates that somebody here waits for */
  const followed = new Map<string, JobHandle>()

  // ---- for others ----

  const isServed = (owner: string): boolean => serves.includes(owner) || serves.includes('*')

  async function answerTo(owner: string, asked: Request): Promise<Answer> {
    switch (asked.t) {
      case 'ask': {
        if (!isServed(owner)) throw new NotServedError(owner)
        return { t: 'price', bound: boundOf(init.parse(decodeValue(asked.spec)).maxPrice) }
      }
      case 'start': {
        const name = `${owner} ${asked.key}`
        const begun = starting.get(name) ?? start(owner, asked.key, decodeValue(asked.spec))
        starting.set(name, begun)
        const begin = await begun.finally(() => starting.delete(name))
        return { t: 'job', job: begin.id, report: begin.report() }
      }
      case 'result':
      case 'cancel': {
        // one answer for what is not there and what belongs to somebody else
        const found = selectOwner.get(asked.job)?.owner === owner ? init.job(asked.job) : undefined
        if (found == null) throw new UnknownDelegatedJobError(asked.job)
        if (asked.t === 'cancel') await found.cancel('its submitter asked')
        else await ended(found)
        const told = found.report()
        if (asked.t === 'cancel' || told.state !== 'completed') return { t: 'report', report: told }
        return { t: 'report', report: told, result: await found.resultBytes() }
      }
    }
  }

  /** Waits for the end of a job, but not long. */
  async function ended(found: Job): Promise<void> {
    if (found.report().finished != null) return
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(HOLD_MS)])
    await new Promise<void>(resolve => {
      const done = (): void => {
        found.removeEventListener('end', done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      found.addEventListener('end', done)
      signal.addEventListener('abort', done)
    })
  }

  async function start(owner: string, paidAs: string, asked: unknown): Promise<Job> {
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
    const before = selectByKey.get(owner, paidAs) as
      | { job: string; bound: number; refunded: number }
      | undefined
    const known = before && init.job(before.job)
    if (known) return known
    if (!isServed(owner)) throw new NotServedError(owner)
    const bound = boundOf(init.parse(asked).maxPrice)
    if (before == null) await payment(owner, paidAs, bound)
    else if (before.refunded === 1 || bound > BigInt(before.bound)) throw new PaymentMissingError(bound, 0)
    // durable before the job is: a repeated start finds its id
    const id = before?.job ?? randomBytes(8).toString('hex')
    if (before == null) insertServed.run(owner, paidAs, id, bound)
    try {
      await init.copyData(asked, owner, { signal })
      const begun = await init.submit(asked, id, { signal })
      void refundAfter(begun, owner, bound)
      return begun
    } catch (err) {
      await refund(id, owner, bound)
      throw err
    }
  }

  /** Resolves when the ledger shows the transfer. Throws PaymentMissingError. */
  async function payment(owner: string, paidAs: string, bound: bigint): Promise<void> {
    const isPaid = (): boolean => {
      const paid = ledger.transferOf(memoOf(paidAs), { from: owner, to: ledger.account })
      return paid?.isCertified === true && paid.amount >= bound
    }
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(PAYMENT_TIMEOUT_MS)])
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        ledger.removeEventListener('change', look)
        signal.removeEventListener('abort', fail)
      }
      const look = (): void => {
        if (!isPaid()) return
        end()
        resolve()
      }
      const fail = (): void => {
        end()
        reject(new PaymentMissingError(bound, PAYMENT_TIMEOUT_MS))
      }
      ledger.addEventListener('change', look)
      signal.addEventListener('abort', fail)
      look()
    })
  }

  async function refundAfter(ofJob: Job, owner: string, bound: bigint): Promise<void> {
    try {
      const { paid } = await ofJob.settled({ signal: controller.signal })
      await refund(ofJob.id, owner, bound - paid)
    } catch (err) {
      if (!controller.signal.aborted) log.error('the rest of job %s is not paid back yet: %e', ofJob.id, err)
    }
  }

  async function refund(id: string, owner: string, amount: bigint): Promise<void> {
    const memo = `refund ${id}`
    const isSent = ledger.transferOf(memo, { from: ledger.account, to: owner }) != null
    if (amount > 0n && !isSent) await ledger.transfer(owner, amount, { memo, signal: controller.signal })
    setRefunded.run(id)
  }

  const serve: StreamHandler = async (stream: Stream, connection: Connection) => {
    const owner = connection.remotePeer.toString()
    try {
      const messages = framed(stream, MAX_FRAME_BYTES)
      const bytes = (await messages.read({ signal: deadline(READ_TIMEOUT_MS) })).subarray()
      const parsed = request.safeParse(decodeValue(bytes))
      if (!parsed.success) throw new ProtocolError(`malformed request of ${owner}`)
      const told = await answerTo(owner, parsed.data).catch(
        ({ name, message }: Error): Answer => ({ t: 'error', name, message: message.slice(0, 4000) })
      )
      await messages.write(encodeValue(told), { signal: deadline(REQUEST_TIMEOUT_MS) })
      await stream.close()
    } catch (err) {
      log('a request of %s ended: %s', owner, (err as Error).message)
      stream.abort(err as Error)
    }
  }

  const deadline = (ms: number): AbortSignal => AbortSignal.any([controller.signal, AbortSignal.timeout(ms)])

  // ---- own jobs at others ----

  async function ask(delegate: string, asked: Request, options?: { signal?: AbortSignal }): Promise<Answer> {
    const signal = AbortSignal.any([
      deadline(REQUEST_TIMEOUT_MS),
      ...(options?.signal ? [options.signal] : [])
    ])
    const stream = await network.dialProtocol(peerIdFromString(delegate), DELEGATE_PROTOCOL, { signal })
    try {
      const messages = framed(stream, MAX_FRAME_BYTES)
      await messages.write(encodeValue(asked), { signal })
      const parsed = answer.safeParse(decodeValue((await messages.read({ signal })).subarray()))
      if (!parsed.success) throw new ProtocolError(`malformed answer of ${delegate}`)
      await stream.close({ signal })
      if (parsed.data.t === 'error') throw new DelegateError(delegate, parsed.data.name, parsed.data.message)
      return parsed.data
    } catch (err) {
      stream.abort(err as Error)
      throw err
    }
  }

  const expect = <T extends Answer['t']>(told: Answer, t: T): Extract<Answer, { t: T }> => {
    if (told.t !== t) throw new ProtocolError(`the delegate answered ${told.t} instead of ${t}`)
    return told as Extract<Answer, { t: T }>
  }

  function follow(id: string, delegate: string, told?: JobReport, init?: TaskSpec): JobHandle {
    const before = followed.get(id)
    if (before != null) return before
    let result: Uint8Array | undefined
    const handle = new JobHandle({
      id,
      type: told?.type ?? init?.type ?? 'script',
      specs: init == null ? [] : [init],
      bound: told?.bound ?? 0n,
      submitted: told?.submitted ?? Date.now(),
      state: told?.state ?? 'running',
      total: told?.total ?? 0,
      load: () => result,
      cancel: () =>
        void ask(delegate, { t: 'cancel', job: id }).catch(err => log.error('not cancelled: %e', err))
    })
    followed.set(id, handle)
    const update = ({ done, total, shares, state }: JobReport): void => {
      handle.done = done
      handle.total = total
      handle.state = state
      handle.setShares(shares)
      handle.progressed(Date.now())
    }
    void (async () => {
      let heard = Date.now()
      while (!controller.signal.aborted) {
        try {
          const got = expect(await ask(delegate, { t: 'result', job: id }), 'report')
          heard = Date.now()
          const now = got.report as JobReport
          update(now)
          if (now.finished == null) continue
          result = got.result
          handle.end(now.state, now.finished, { cid: now.cid, failure: now.failure })
          break
        } catch (err) {
          const isFinal = err instanceof DelegateError
          if (isFinal || Date.now() - heard > PATIENCE_MS) {
            const message = `${delegate} does not tell: ${(err as Error).message}; ask again later with \`artel result ${id}\``
            handle.end('failed', Date.now(), { failure: { name: 'aborted', message } })
            break
          }
          log('%s is asked again: %s', delegate, (err as Error).message)
          await new Promise<void>(resolve => {
            const timer = setTimeout(resolve, RETRY_MS)
            timer.unref()
          })
        }
      }
      handle.markSettled()
      followed.delete(id)
    })()
    return handle
  }

  async function begin(
    delegate: string,
    paidAs: string,
    bytes: Uint8Array,
    options?: { signal?: AbortSignal }
  ) {
    const told = expect(await ask(delegate, { t: 'start', key: paidAs, spec: bytes }, options), 'job')
    setJob.run(told.job, paidAs)
    return told
  }

  return {
    /**
     * Hands a job to `delegate`: asks, pays the bound, starts. Throws DelegateError with the delegate's reason,
     * InsufficientCreditsError, SpecError.
     */
    async submit(text: unknown, delegate: string, options?: { signal?: AbortSignal }): Promise<Job> {
      const parsed = init.parse(text)
      const bytes = encodeValue(text)
      const bound = boundOf(parsed.maxPrice)
      const asked = expect(await ask(delegate, { t: 'ask', spec: bytes }, options), 'price').bound
      if (asked > bound)
        throw new DelegateError(
          delegate,
          'PriceError',
          `it wants ${asked} micro-credits, the bound is ${bound}`
        )
      const paidAs = randomBytes(16).toString('hex')
      insertOut.run(paidAs, delegate, bytes)
      try {
        await ledger.transfer(delegate, bound, { memo: memoOf(paidAs), ...options })
      } catch (err) {
        if (!options?.signal?.aborted) removeOut.run(paidAs)
        throw err
      }
      const told = await begin(delegate, paidAs, bytes, options)
      return follow(told.job, delegate, told.report as JobReport, parsed)
    },

    /** A job of this node at a delegate, by its id there. */
    job(id: string): Job | undefined {
      const row = selectOut.get(id)
      if (row == null) return
      return follow(id, row.delegate as string, undefined, init.parse(decodeValue(row.spec as Uint8Array)))
    },

    async start(): Promise<void> {
      await network.handle(DELEGATE_PROTOCOL, serve, {
        maxInboundStreams: MAX_STREAMS,
        maxOutboundStreams: MAX_STREAMS
      })
      for (const { owner, job: id, bound } of selectOpen.all()) {
        const known = init.job(id as string)
        if (known != null) void refundAfter(known, owner as string, BigInt(bound as number))
      }
      // what was paid before this node went down and not started; the same key starts no second job
      for (const { key: paidAs, delegate, spec: bytes } of selectUnstarted.all()) {
        const parties = { from: ledger.account, to: delegate as string }
        if (ledger.transferOf(memoOf(paidAs as string), parties) != null)
          begin(delegate as string, paidAs as string, bytes as Uint8Array).catch(err =>
            log.error('the job that %s was paid for is not started yet: %e', delegate, err)
          )
      }
    },

    async stop(): Promise<void> {
      controller.abort()
      await network.unhandle(DELEGATE_PROTOCOL)
    }
  }
}

export type Delegation = ReturnType<typeof createDelegation>

const memoOf = (paidAs: string): string => `delegate ${paidAs}`
