import { hash, randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { raceSignal } from 'race-signal'
import { framed } from '../../bootstrap/framing.ts'
import type { Ledger } from '../../ledger/index.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { Job, JobReport } from '../contract.ts'
import { DelegateError, ProtocolError } from '../errors.ts'
import { boundOf } from '../market/price.ts'
import {
  DELEGATE_PROTOCOL,
  type DelegateAnswer,
  type DelegateRequest,
  memoOf,
  REQUEST_TIMEOUT_MS,
  readAnswer
} from '../protocol/delegate-messages.ts'
import { MAX_FRAME_BYTES } from '../protocol/limits.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { DelegationBook } from './delegation-book.ts'
import { JobHandle } from './job-handle.ts'

// An unreachable delegate is asked again for this long; the job goes on there in any case.
const PATIENCE_MS = 60_000
const RETRY_MS = 1_000
// A delegate that is gone for good costs one dial in a while.
const LAST_RETRY_MS = 5 * 60_000
// Who waited for the end asks for the result next, by the job's id.
const KEEP_MS = 60_000

type Unstarted = ReturnType<DelegationBook['unstarted']>[number]
type Begun = Extract<DelegateAnswer, { t: 'job' }>

const KEY_CHARS = 32
/** What a job is paid and started under, once: of the same id the same. */
const keyOf = (delegate: string, id?: string): string =>
  id == null
    ? randomBytes(KEY_CHARS / 2).toString('hex')
    : hash('sha256', `${delegate} ${id}`).slice(0, KEY_CHARS)

export interface DelegatingInit {
  /** Checks a spec; throws SpecError. */
  parse(spec: unknown): TaskSpec
}

export interface DelegatingComponents {
  network: Pick<ComputeNetwork, 'dialProtocol'>
  ledger: Pick<Ledger, 'account' | 'transfer' | 'transferOf'>
  book: DelegationBook
  logger: ComponentLogger
}

/** Hands own jobs to other nodes, and follows them there. */
export function createDelegating(
  { parse }: DelegatingInit,
  { network, ledger, book, logger }: DelegatingComponents
) {
  const log: Logger = logger.forComponent('artel:delegation')
  const controller = new AbortController()
  /** own jobs at delegates that somebody here waits for, or has just waited for */
  const followed = new Map<string, JobHandle>()
  /** starts of what was paid, by key: who comes again joins */
  const beginning = new Map<string, Promise<Begun>>()

  const rest = (ms: number): Promise<void> =>
    // an abort only ends the waiting
    delay(ms, undefined, { signal: controller.signal, ref: false }).catch(() => {})

  async function ask<T extends DelegateAnswer['t']>(
    delegate: string,
    asked: DelegateRequest,
    expected: T,
    options?: { signal?: AbortSignal }
  ): Promise<Extract<DelegateAnswer, { t: T }>> {
    const signal = AbortSignal.any([
      controller.signal,
      AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      ...(options?.signal ? [options.signal] : [])
    ])
    const stream = await network.dialProtocol(peerIdFromString(delegate), DELEGATE_PROTOCOL, { signal })
    try {
      const messages = framed(stream, MAX_FRAME_BYTES)
      await messages.write(encodeValue(asked), { signal })
      const told = readAnswer((await messages.read({ signal })).subarray())
      if (told == null) throw new ProtocolError(`malformed answer of ${delegate}`)
      await stream.close({ signal })
      if (told.t === 'error') throw new DelegateError(delegate, told.name, told.message)
      if (told.t !== expected)
        throw new ProtocolError(`the delegate answered ${told.t} instead of ${expected}`)
      return told as Extract<DelegateAnswer, { t: T }>
    } catch (err) {
      stream.abort(err as Error)
      throw err
    }
  }

  function follow(id: string, delegate: string, told?: JobReport, spec?: TaskSpec): JobHandle {
    const before = followed.get(id)
    if (before != null) return before
    let result: Uint8Array | undefined
    const handle = new JobHandle({
      id,
      type: told?.type ?? spec?.type ?? 'script',
      specs: spec == null ? [] : [spec],
      bound: told?.bound ?? 0n,
      submitted: told?.submitted ?? Date.now(),
      state: told?.state ?? 'running',
      total: told?.total ?? 0,
      load: () => result,
      hurry() {}, // its delegate settles it
      cancel: () =>
        void ask(delegate, { t: 'cancel', job: id }, 'report').catch(err =>
          log.error('job %s is not cancelled at %s: %e', id, delegate, err)
        )
    })
    followed.set(id, handle)
    void watch(handle, delegate, bytes => {
      result = bytes
    })
    return handle
  }

  /** Asks for the result until it is there, or the delegate is silent for too long. Never rejects. */
  async function watch(
    handle: JobHandle,
    delegate: string,
    keep: (result: Uint8Array | undefined) => void
  ): Promise<void> {
    const { id } = handle
    let heard = Date.now()
    while (!controller.signal.aborted) {
      try {
        const got = await ask(delegate, { t: 'result', job: id }, 'report')
        heard = Date.now()
        const now = got.report as JobReport
        handle.told(now, Date.now())
        if (now.finished == null) continue
        keep(got.result)
        handle.end(now.state, now.finished, { cid: now.cid, failure: now.failure })
        handle.markSettled()
        await rest(KEEP_MS)
        break
      } catch (err) {
        if (err instanceof DelegateError || Date.now() - heard > PATIENCE_MS) {
          const message = `${delegate} does not tell: ${(err as Error).message}; ask again later with \`artel result ${id}\``
          handle.end('failed', Date.now(), { failure: { name: 'aborted', message } })
          break
        }
        log('%s is asked again: %s', delegate, (err as Error).message)
        await rest(RETRY_MS)
      }
    }
    handle.markSettled()
    followed.delete(id)
  }

  /** Starts what is paid, however long its delegate is out of reach: the same key starts no second job. */
  function begin(unstarted: Unstarted, paid = async (): Promise<void> => {}): Promise<Begun> {
    const { key, delegate } = unstarted
    const before = beginning.get(key)
    if (before != null) return before
    const begun = paid()
      .then(() => askToStart(unstarted))
      .finally(() => beginning.delete(key))
    beginning.set(key, begun)
    begun.catch(err => log('%s does not start what was paid: %s', delegate, (err as Error).message))
    return begun
  }

  async function askToStart({ key, delegate, spec }: Unstarted): Promise<Begun> {
    for (let waitMs = RETRY_MS; ; waitMs = Math.min(waitMs * 2, LAST_RETRY_MS)) {
      try {
        const told = await ask(delegate, { t: 'start', key, spec }, 'job')
        book.handedOut(key, told.job)
        return told
      } catch (err) {
        // its ledger may be behind
        const isAnswer = err instanceof DelegateError && err.reason !== 'PaymentMissingError'
        if (err instanceof DelegateError && err.reason === 'RefundedError') book.forget(key)
        if (isAnswer || controller.signal.aborted) throw err
        log('%s is asked again to start what was paid: %s', delegate, (err as Error).message)
        await rest(waitMs)
      }
    }
  }

  /** Throws DelegateError where it does not take the job for `bound`. */
  async function agree(delegate: string, spec: Uint8Array, bound: bigint, signal?: AbortSignal) {
    const asked = (await ask(delegate, { t: 'ask', spec }, 'price', { signal })).bound
    if (asked <= bound) return
    const message = `it wants ${asked} micro-credits, the bound is ${bound}`
    throw new DelegateError(delegate, 'PriceError', message)
  }

  /** Pays the bound under a key, once, whoever waits for it: what is signed cannot be taken back. */
  async function pay({ key, delegate }: Unstarted, bound: bigint): Promise<void> {
    if (isPaid(key, delegate)) return
    try {
      await ledger.transfer(delegate, bound, { memo: memoOf(key), signal: controller.signal })
    } catch (err) {
      if (!isPaid(key, delegate)) book.forget(key)
      throw err
    }
  }

  const isPaid = (key: string, delegate: string): boolean =>
    ledger.transferOf(memoOf(key), { from: ledger.account, to: delegate }) != null

  /** Nobody knows its id: what it has not cost comes back. */
  function callBack(delegate: string, key: string, begun: Promise<{ job: string }>): void {
    begun.then(
      async ({ job }) => {
        try {
          await ask(delegate, { t: 'cancel', job }, 'report')
        } catch (err) {
          log.error('job %s, that nobody waits for, is not cancelled at %s: %e', job, delegate, err)
          // whoever does not answer is asked at the next start
          if (!(err instanceof DelegateError)) return
        }
        book.told(key)
      },
      () => {} // told where it is begun
    )
  }

  return {
    /**
     * Hands a job to `delegate`: asks, pays the bound, starts. With an `id` the same job each time, paid once; without, a job
     * that begins when nobody waits here any more is cancelled, for nobody knows it. Throws DelegateError with the delegate's
     * reason, InsufficientCreditsError, SpecError.
     */
    async submit(
      text: unknown,
      delegate: string,
      { id, signal }: { id?: string; signal?: AbortSignal } = {}
    ): Promise<Job> {
      const parsed = parse(text)
      const spec = encodeValue(text)
      const key = keyOf(delegate, id)
      const before = book.handed(key)
      if (before?.job != null) return follow(before.job, delegate, undefined, parsed)
      const bound = boundOf(parsed.maxPrice)
      if (!isPaid(key, delegate)) await agree(delegate, spec, bound, signal)
      signal?.throwIfAborted()
      book.handOut(key, delegate, spec, id == null)
      const handed = { key, delegate, spec }
      const begun = begin(handed, () => pay(handed, bound))
      const late = AbortSignal.timeout(REQUEST_TIMEOUT_MS + PATIENCE_MS)
      const gone = signal == null ? late : AbortSignal.any([late, signal])
      try {
        const { job, report } = await raceSignal(begun, gone)
        book.told(key)
        return follow(job, delegate, report as JobReport, parsed)
      } catch (err) {
        if (gone.aborted && id == null) callBack(delegate, key, begun)
        if (!late.aborted) throw err
        const then = id == null ? 'is cancelled' : 'starts'
        throw new DelegateError(
          delegate,
          'TimeoutError',
          `it does not answer; the job is paid and ${then} when it does`
        )
      }
    },

    /** A job of this node at a delegate, by its id there. */
    job(id: string): Job | undefined {
      const known = followed.get(id)
      if (known != null) return known
      const row = book.at(id)
      return row && follow(id, row.delegate, undefined, parse(decodeValue(row.spec)))
    },

    /** What was paid before this node went down and not started, and what nobody has learned of; the same key starts no second job. */
    start(): void {
      for (const unstarted of book.unstarted()) {
        const { key, delegate } = unstarted
        if (!isPaid(key, delegate)) continue
        begin(unstarted).catch(err => {
          if (!controller.signal.aborted)
            log.error('the job that %s was paid for is not started yet: %e', delegate, err)
        })
      }
      for (const { job, ...handed } of book.untold())
        if (job != null) callBack(handed.delegate, handed.key, Promise.resolve({ job }))
        else if (isPaid(handed.key, handed.delegate)) callBack(handed.delegate, handed.key, begin(handed))
    },

    stop(): void {
      controller.abort()
    }
  }
}

export type Delegating = ReturnType<typeof createDelegating>
