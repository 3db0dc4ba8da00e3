import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ComponentLogger, Connection, Logger, Stream, StreamHandler } from '@libp2p/interface'
import type { LengthPrefixedStream } from '@libp2p/utils'
import { framed } from '../../bootstrap/framing.ts'
import type { Ledger } from '../../ledger/index.ts'
import { encodeValue } from '../../sandbox/index.ts'
import type { Job } from '../contract.ts'
import {
  NotServedError,
  PaymentMissingError,
  ProtocolError,
  RefundedError,
  UnknownDelegatedJobError
} from '../errors.ts'
import { boundOf } from '../market/price.ts'
import { createUnpaidTime } from '../market/unpaid-time.ts'
import {
  DELEGATE_PROTOCOL,
  type DelegateAnswer,
  type DelegateRequest,
  memoOf,
  PAYMENT_TIMEOUT_MS,
  REQUEST_TIMEOUT_MS,
  readRequest,
  readSpec
} from '../protocol/delegate-messages.ts'
import { MAX_FRAME_BYTES } from '../protocol/limits.ts'
import type { ComputeNetwork } from '../protocol/network.ts'
import type { TaskSpec } from '../tasks/registry.ts'
import type { DelegationBook } from './delegation-book.ts'

const MAX_STREAMS = 8
const READ_TIMEOUT_MS = 10_000
// How long the delegate holds a question for the result before it says that the job still runs.
const HOLD_MS = 1_000
const MAX_MESSAGE_CHARS = 4000
// What is owed is paid back as soon as the ledger takes it: asked again after this, twice as long each time.
const REFUND_RETRY_MS = 1_000
const LAST_REFUND_RETRY_MS = 5 * 60_000
// What is wrong with a request; everything else that fails is this node's own, and its owner should hear of it.
const OF_THE_REQUEST = new Set([
  'NotServedError',
  'UnknownDelegatedJobError',
  'PaymentMissingError',
  'RefundedError',
  'SpecError',
  'DataMissingError',
  'BlockError',
  'JobCancelledError'
])

export interface DelegatesInit {
  /** peers whose jobs this node coordinates; `*` = everybody */
  serves: readonly string[]
  /** Checks a spec; throws SpecError. */
  parse(spec: unknown): Pick<TaskSpec, 'maxPrice'>
  /** Fetches the data that a spec names by CID from its submitter, so that it can go away. */
  copyData(spec: unknown, from: string, options: { signal: AbortSignal }): Promise<void>
  /** Starts a job of the given id, or gives the one that has it. */
  submit(spec: unknown, id: string, options: { signal: AbortSignal }): Promise<Job>
  job(id: string): Job | undefined
  /** ms, monotonic */
  now(): number
}

export interface DelegatesComponents {
  network: Pick<ComputeNetwork, 'handle' | 'unhandle'>
  ledger: Pick<Ledger, 'account' | 'transfer' | 'transferOf' | 'addEventListener' | 'removeEventListener'>
  book: DelegationBook
  logger: ComponentLogger
}

/** Coordinates jobs for others. */
export function createDelegates(init: DelegatesInit, { network, ledger, book, logger }: DelegatesComponents) {
  const { serves, now } = init
  const log: Logger = logger.forComponent('artel:delegation')
  const controller = new AbortController()
  /** starts under way, by owner and key: a repeated one joins */
  const starting = new Map<string, Promise<Job>>()
  /** of jobs that were tried and refused */
  const unpaid = createUnpaidTime(now)

  const deadline = (ms: number): AbortSignal => AbortSignal.any([controller.signal, AbortSignal.timeout(ms)])
  const isServed = (owner: string): boolean => serves.includes(owner) || serves.includes('*')

  /** `asked`: nothing where it was not read, because its sender is a stranger. */
  async function answerTo(owner: string, asked: DelegateRequest | undefined): Promise<DelegateAnswer> {
    if (asked == null) throw new NotServedError(owner)
    switch (asked.t) {
      case 'ask': {
        if (!isServed(owner)) throw new NotServedError(owner)
        expectPatience(owner)
        return { t: 'price', bound: boundOf(init.parse(readSpec(asked.spec)).maxPrice) }
      }
      case 'start': {
        const name = `${owner} ${asked.key}`
        const begun = starting.get(name) ?? start(owner, asked.key, readSpec(asked.spec))
        starting.set(name, begun)
        const begin = await begun.finally(() => starting.delete(name))
        return { t: 'job', job: begin.id, report: begin.report() }
      }
      case 'result':
      case 'cancel': {
        // one answer for what is not there and what belongs to somebody else
        const found = book.ownerOf(asked.job) === owner ? init.job(asked.job) : undefined
        if (found == null) throw new UnknownDelegatedJobError(asked.job)
        if (asked.t === 'cancel') await found.cancel('its submitter asked')
        else await ended(found)
        const told = found.report()
        if (asked.t === 'cancel' || told.state !== 'completed') return { t: 'report', report: told }
        return { t: 'report', report: told, result: await found.resultBytes() }
      }
    }
  }

  function expectPatience(owner: string): void {
    const objection = unpaid.objection(owner)
    if (objection !== undefined) throw new NotServedError(owner, objection)
  }

  /** Waits for the end of a job, but not long. */
  async function ended(found: Job): Promise<void> {
    if (found.report().finished != null) return
    const signal = deadline(HOLD_MS)
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
    const signal = deadline(REQUEST_TIMEOUT_MS)
    const before = book.served(owner, paidAs)
    const known = before && init.job(before.job)
    if (known) return known
    if (!isServed(owner)) throw new NotServedError(owner)
    const bound = boundOf(init.parse(asked).maxPrice)
    if (before == null) await payment(owner, paidAs, bound)
    else if (before.isRefunded) throw new RefundedError(before.job)
    else if (bound > before.bound) throw new PaymentMissingError(bound, 0)
    // durable before the job is: a repeated start finds its id
    const id = before?.job ?? randomBytes(8).toString('hex')
    if (before == null) book.serve(owner, paidAs, id, bound)
    try {
      expectPatience(owner)
      await init.copyData(asked, owner, { signal })
      const since = now()
      const begun = await init.submit(asked, id, { signal }).catch(err => {
        unpaid.used(owner, now() - since, 0)
        throw err
      })
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
      return paid != null && paid.amount >= bound
    }
    const signal = deadline(PAYMENT_TIMEOUT_MS)
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
    const { signal } = controller
    for (let waitMs = REFUND_RETRY_MS; ; waitMs = Math.min(2 * waitMs, LAST_REFUND_RETRY_MS)) {
      try {
        const { paid } = await ofJob.settled({ signal })
        return await refund(ofJob.id, owner, bound - paid)
      } catch (err) {
        if (signal.aborted) return
        log.error('the rest of job %s is not paid back yet: %e', ofJob.id, err)
      }
      // an abort only ends the waiting
      await delay(waitMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  async function refund(id: string, owner: string, amount: bigint): Promise<void> {
    const memo = `refund ${id}`
    const isSent = ledger.transferOf(memo, { from: ledger.account, to: owner }) != null
    if (amount > 0n && !isSent) await ledger.transfer(owner, amount, { memo, signal: controller.signal })
    book.refunded(id)
  }

  async function read(owner: string, messages: LengthPrefixedStream): Promise<DelegateRequest> {
    const bytes = (await messages.read({ signal: deadline(READ_TIMEOUT_MS) })).subarray()
    const asked = readRequest(bytes)
    if (asked == null) throw new ProtocolError(`malformed request of ${owner}`)
    return asked
  }

  const serve: StreamHandler = async (stream: Stream, connection: Connection) => {
    const owner = connection.remotePeer.toString()
    try {
      const isKnown = isServed(owner) || book.knows(owner)
      // nothing is kept of what a stranger sends
      if (!isKnown) stream.addEventListener('message', () => {})
      const messages = framed(stream, MAX_FRAME_BYTES)
      const asked = isKnown ? await read(owner, messages) : undefined
      const told = await answerTo(owner, asked).catch((err: Error): DelegateAnswer => {
        if (!OF_THE_REQUEST.has(err.name)) log.error('what %s asked for failed here: %e', owner, err)
        return { t: 'error', name: err.name, message: err.message.slice(0, MAX_MESSAGE_CHARS) }
      })
      await messages.write(encodeValue(told), { signal: deadline(REQUEST_TIMEOUT_MS) })
      await stream.close({ signal: deadline(READ_TIMEOUT_MS) })
    } catch (err) {
      log('a request of %s ended: %s', owner, (err as Error).message)
      stream.abort(err as Error)
    }
  }

  return {
    async start(): Promise<void> {
      await network.handle(DELEGATE_PROTOCOL, serve, {
        maxInboundStreams: MAX_STREAMS,
        maxOutboundStreams: MAX_STREAMS
      })
      for (const { owner, job, bound } of book.unrefunded()) {
        const known = init.job(job)
        if (known != null) void refundAfter(known, owner, bound)
      }
    },

    async stop(): Promise<void> {
      controller.abort()
      await network.unhandle(DELEGATE_PROTOCOL)
    }
  }
}

export type Delegates = ReturnType<typeof createDelegates>
