import { setImmediate } from 'node:timers/promises'
import type { Logger } from '@libp2p/interface'
import {
  createReceipts,
  type Ledger,
  type Receipts,
  type SignedWork,
  type Signer,
  signEvidence,
  signWork,
  workProof
} from '../../ledger/index.ts'
import type { Effects } from '../coordinator/contract.ts'
import type { Store } from '../store/job-store.ts'
import type { JobHandle } from './job-handle.ts'
import { untilDone } from './until-done.ts'

// Signatures that go into one piece of evidence (ledger).
const MAX_OTHERS = 7
// There is no escrow, and cannot be one: nothing is left to settle where nothing is owed.
const NOT_RESERVED = ['UnknownEscrowError', 'InsufficientCreditsError']

/** What the ledger gets to know of jobs: payments with their receipts, and evidence against workers. */
export function createSettlement(
  { signal }: { signal: AbortSignal },
  {
    store,
    ledger,
    signer,
    log
  }: {
    store: Pick<Store, 'later' | 'safe' | 'hasFiles' | 'works' | 'settled' | 'has'>
    ledger: Pick<
      Ledger,
      'account' | 'network' | 'hold' | 'escrow' | 'settle' | 'hurry' | 'openEscrows' | 'report'
    >
    signer: Signer
    log: Logger
  }
) {
  /** jobs that peers were given work of: their bound is in escrow, or about to be */
  const secured = new Set<string>()

  /** Once the messages of this turn have left: what is signed for the first slice need not hold it up. */
  async function reserve(job: JobHandle): Promise<void> {
    await setImmediate()
    // what has ended is settled already, or cannot be
    if (signal.aborted || job.hasEnded) return
    try {
      const { certified } = await ledger.escrow(job.id, job.init.bound, { signal })
      certified.catch(err => {
        if (!signal.aborted) void job.cancel(`the witnesses refused its escrow: ${err.message}`)
      })
    } catch (err) {
      if (!signal.aborted) void job.cancel(`its bound could not be reserved: ${(err as Error).message}`)
    }
  }

  /** What this node says of its own work is signed only where others are to see it. */
  const signedWork = (job: string, work: SignedWork): SignedWork =>
    work.worker === ledger.account ? signWork(signer, ledger.network, job, work.slices) : work

  /** What this node did itself is not paid and needs no receipt. */
  function paidWorks(job: string): SignedWork[] {
    return store.works(job).filter(work => work.worker !== ledger.account)
  }

  /** Both signatures under all work of a job; undefined when nobody was paid. */
  function receiptsOf(job: string): Receipts | undefined {
    const works = paidWorks(job)
    return works.length === 0 ? undefined : createReceipts(signer, ledger.network, job, works)
  }

  /**
   * Tried again while this node cannot write. false when it stops before the settlement is certified, which is repeated
   * after the next start, or can never sign again.
   */
  async function pay(
    job: string,
    payments: { to: string; amount: bigint; slices: number }[],
    { escrow, ...options }: { receipts?: Uint8Array; mayWait?: boolean; escrow?: bigint } = {}
  ): Promise<boolean> {
    let isFrozen = false
    const settled = await untilDone(
      `job ${job} is not settled`,
      async () => {
        try {
          if (escrow != null) await ledger.escrow(job, escrow, { signal })
          await ledger.settle(job, payments, { signal, ...options })
        } catch (err) {
          const { name } = err as Error
          if (payments.length === 0 && NOT_RESERVED.includes(name)) return
          if (name !== 'AccountFrozenError') throw err
          log.error('job %s is never settled: %e', job, err)
          isFrozen = true
        }
      },
      { signal, log }
    )
    return settled && !isFrozen
  }

  return {
    /** Keeps back what a job may cost. Nothing is signed before a peer is given work of it. */
    hold: (job: string, bound: bigint, options?: { signal?: AbortSignal }): Promise<void> =>
      ledger.hold(job, bound, options),

    /** A peer is given work of the job, and its price is to be certain. A job that cannot be secured ends. */
    secure(job: JobHandle): void {
      if (secured.has(job.id)) return
      secured.add(job.id)
      void reserve(job)
    },

    /** Whether there is something to settle when the job ends. */
    isSecured: (job: string): boolean => secured.has(job),

    /** Somebody waits for the settlement of a job. */
    hurry(): void {
      if (!signal.aborted) ledger.hurry()
    },

    /** Pays what the job owes; false when that is left to the next start. */
    async settle(job: JobHandle): Promise<boolean> {
      // whoever waits for the result comes first
      await setImmediate()
      if (signal.aborted) return false
      const payments = job
        .report()
        .shares.filter(share => share.worker !== ledger.account && share.paid > 0n)
        .map(share => ({ to: share.worker, amount: share.paid, slices: share.slices }))
      const receipts = payments.length === 0 ? undefined : receiptsOf(job.id)?.root
      // what is secured has an escrow, or is about to; for anything else it was settled, and the ledger may have forgotten
      const escrow = secured.has(job.id) ? job.init.bound : undefined
      // where only this node worked for it, what was kept back is free at once
      const isOwn = escrow == null && payments.length === 0
      const isWritten = isOwn && job.init.finished == null && !store.hasFiles(job.id)
      // a job whose end is lost goes on after a power cut, and whoever works for it then would not be paid. The next job,
      // whose submit waits for the same disk, comes often at once
      const safe = (): Promise<void> => store.safe(job.id, !job.isAwaited)
      const what = `the end of job ${job.id} is not safe`
      if (!isWritten && !(await untilDone(what, safe, { signal, log }))) return false
      if (!(await pay(job.id, payments, { receipts, escrow, mayWait: !isOwn && !job.isAwaited })))
        return false
      // written with its end; one that had ended before this node started was secured then
      if (isWritten) return true
      secured.delete(job.id)
      // a node that stops settles again after the start, which changes nothing
      const mark = (): Promise<void> => store.later(job.id, () => store.settled(job.id))
      return untilDone(`job ${job.id} is not marked as settled`, mark, { signal, log })
    },

    /** A job that could not be written has ended before anything of it was signed: what was kept back for it is free. */
    forget(job: string): void {
      secured.delete(job)
    },

    /** After the start: what is in escrow is to be settled; for jobs that were never written, this node ended in between, at once. */
    takeUp(): void {
      for (const { job } of ledger.openEscrows()) {
        if (store.has(job)) secured.add(job)
        else void pay(job, [])
      }
    },

    receipts(job: string): { worker: string; slice: number; receipt: Uint8Array }[] {
      const receipts = receiptsOf(job)
      return paidWorks(job).map(({ worker, slices: [work] }) => ({
        worker,
        slice: work!.slice,
        receipt: receipts!.receipt(worker, work!.slice)
      }))
    },

    /** Whoever was found wrong is told to everybody, when the signatures of two others speak against it. */
    accuse(job: string, { first, count, accepted, wrong }: Parameters<Effects['evidence']>[0]): void {
      const others = accepted.flatMap(vote =>
        vote.proof == null ? [] : workProof(signedWork(job, vote.proof as SignedWork), 0)
      )
      for (const { worker, proof } of wrong) {
        const last = first + count - 1
        log.error('%s gave a wrong result for units %d to %d of job %s', worker, first, last, job)
        if (proof == null) continue
        const accused = workProof(proof as SignedWork, 0)
        // a canary has a number of its own: who answered the slice before signed for another
        const against = others.filter(other => other.slice === accused.slice).slice(0, MAX_OTHERS)
        if (against.length < 2) continue
        try {
          ledger.report(signEvidence(signer, ledger.network, job, accused, against))
        } catch (err) {
          log.error('the evidence against %s was not taken: %e', worker, err)
        }
      }
    }
  }
}

export type Settlement = ReturnType<typeof createSettlement>
