import type { ComponentLogger, Logger } from '@libp2p/interface'
import type { SliceWork } from '../../ledger/index.ts'
import type { Sandbox } from '../../sandbox/index.ts'
import { createUnpaidTime } from '../market/unpaid-time.ts'
import type { FromRequester, FromWorker, LeasedSlice, OfferMessage } from '../protocol/compute-messages.ts'
import { type PeerCosts, UNCOUNTED } from '../protocol/peer-costs.ts'
import type { WorkerConnection } from '../protocol/worker-end.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import { createWorkerInputs } from './gather-inputs.ts'
import { createPauses, givingWay, unsecuredMs } from './give-way.ts'
import type { KeptBlocks } from './kept-blocks.ts'
import type { KeptData } from './kept-data.ts'
import type { WorkerPolicy } from './lending-policy.ts'
import {
  type Batch,
  freeProgram,
  hold,
  letGo,
  type Program,
  priceOf,
  type Requester,
  TOO_MANY_PROGRAMS,
  takeProgram
} from './requester.ts'
import { createBatchRunner, refuse } from './run-batch.ts'
import { createSignedAnswers } from './signed-answers.ts'
import { createTurns } from './turns.ts'
import type { Credit } from './unsecured-work.ts'
import { createWarmSessions } from './warm-sessions.ts'

// Outstanding slices per requester: enough to hide a round trip, few enough to bound memory.
const WINDOW_PER_SLOT = 64
const HEARTBEAT_MS = 1000
// What it costs this machine to end a process before it brings anything, and to start the next one in its place: for who names no
// price, once for all that ran when it was first in the way, or comes back with more of it before it is time.
const PROCESS_MS = 200
// What a message that asks for nothing costs at least, and each slice in it: it was decrypted, framed and answered as well, and
// what is left of it collected.
const VAIN_MS = 0.25
const VAIN_SLICE_MS = 0.02
const OVERSTAYED =
  'it was begun beside full slots because it was said to be short, and it is not; it waits for a slot next time'
const MADE_ROOM = 'the program made room for another one'
const GAVE_WAY = 'others, whose escrow is certified, wait for this slot; come again later or when yours is'

export interface WorkerInit {
  policy: WorkerPolicy
  /** false where jobs under this node's own name may hold strangers' code */
  trustsOwn: boolean
  /** what it can run whose results are of a class of their own (OfferFields) */
  runtimes: readonly string[]
}

export interface WorkerComponents {
  sandbox: Sandbox
  logger: ComponentLogger
  /** blocks of a requester, for inputs that are given by CID */
  blocks: Pick<BlockExchange, 'get'>
  /** where answers stay that other workers fetch */
  kept: KeptBlocks
  /** where results stay for later jobs */
  stays: KeptData
  /** this node's signature under an answer */
  sign(job: string, work: SliceWork): Uint8Array
  /** what others may cost */
  costs: PeerCosts
  /** Slices were done for somebody else. */
  worked(requester: string, work: { slices: number; ms: number; earned: bigint }): void
  /** how far others are trusted to pay; `UNLIMITED`: without end */
  credit: Credit
  /** ms, monotonic */
  now?: () => number
}

/** Serves slices to requesters in `slots` processes at a time, programs in turn. */
export function createWorker({ policy, trustsOwn, runtimes }: WorkerInit, components: WorkerComponents) {
  const { sandbox, blocks, kept, stays, credit, worked, now = () => performance.now() } = components
  const log: Logger = components.logger.forComponent('artel:worker')
  const unpaid = createUnpaidTime(now)
  const requesters = new Set<Requester>()
  // the owner may compare results here also where nothing is lent
  const capacity = (): number => Math.max(1, policy.slots)
  /** with the one that may run beside full slots */
  const most = (): number => capacity() + (policy.maxProcesses > capacity() ? 1 : 0)
  const sessions = createWarmSessions(
    { policy, trustsOwn, isFull: idle => idle + turns.running > most() },
    { sandbox, log }
  )
  const run = createBatchRunner(policy, {
    inputs: createWorkerInputs({ blocks, kept: { get: block => kept.get(block) ?? stays.get(block) }, log }),
    sessions,
    answers: createSignedAnswers(components),
    unpaid,
    credit,
    worked,
    now,
    log
  })
  const isSecured = (requester: Requester, { job, price }: LeasedSlice): boolean =>
    credit.secures(requester.id, job, price)
  const pauses = createPauses(now)
  const turns = createTurns({
    capacity,
    most,
    isSecured: ({ requester, queue }) => isSecured(requester, queue[0]!),
    mayBegin: ({ requester, queue }) => !pauses.isPaused(requester.id) || isSecured(requester, queue[0]!),
    run,
    now,
    log
  })
  let isStopped = false

  // ---- what it says by itself ----

  const offer = (own = false): OfferMessage => {
    const slots = own ? capacity() : policy.closed() == null ? policy.slots : 0
    return {
      t: 'offer',
      class: sandbox.class,
      slots,
      free: Math.max(0, slots - turns.running),
      window: slots * WINDOW_PER_SLOT,
      walled: sandbox.walled,
      ramMb: policy.memoryMb,
      runtimes: [...runtimes],
      ...policy.terms
    }
  }

  // the owner is offered one slot also where nothing is lent, but not the same way
  const said = ({ free: _, ...message }: OfferMessage): string => JSON.stringify([policy.slots, message])

  function sendOffer(requester: Requester): void {
    const message = offer(requester.own)
    requester.said = said(message)
    requester.send(message)
  }

  const heartbeat = setInterval(() => {
    policy.observe(turns.busyMs())
    credit.refresh()
    kept.expire()
    stays.expire()
    pauses.review(turns.freeMs())
    turns.pump()
    endOverstay()
    makeWay()
    for (const requester of requesters) {
      callBack(requester)
      if (requester.held > 0) requester.send({ t: 'alive' })
      // the owner changed what is lent, or the hour did
      if (said(offer(requester.own)) !== requester.said) sendOffer(requester)
    }
  }, HEARTBEAT_MS)
  heartbeat.unref?.() // browsers have timers without it

  /** Ends what a requester runs when it has used up what it may use unpaid. */
  function callBack(requester: Requester): void {
    if (requester.own) return
    const running = runningOf(requester)
    const ms = unsecuredMs(running, now())
    const reason = ms > 0 ? unpaid.objection(requester.id, ms) : undefined
    if (reason != null) for (const { batch } of running) endBatch(requester, batch, reason)
  }

  const runningOf = (requester: Requester) =>
    [...requester.programs.values()].flatMap(program =>
      Array.from(program.running, batch => ({
        batch,
        from: requester,
        requester: requester.id,
        own: requester.own,
        startedAt: batch.startedAt,
        price: priceOf(batch.slices),
        isSecured: batch.slices.every(slice => isSecured(requester, slice)),
        isEnding: batch.controller.signal.aborted
      }))
    )

  /** Whoever pays does not wait for who only says so. */
  function makeWay(): void {
    const kept = turns.kept()
    if (kept.length === 0) return
    const inSlots = [...requesters].flatMap(runningOf).filter(({ batch }) => !turns.isBeside(batch.slices))
    const ended = givingWay(inSlots, kept)
    for (const { from, batch, startedAt, price } of ended) {
      endBatch(from, batch, GAVE_WAY)
      const isNews = pauses.gaveWay(from.id, startedAt)
      // a price may be secured any moment; what names none never will be
      if (isNews && price === 0) from.costs.waste(from.id, PROCESS_MS)
    }
  }

  /** The owner lends so many slots: what is in none of them is short. */
  function endOverstay(): void {
    const { program, slices } = turns.overstay() ?? {}
    for (const batch of program?.running ?? [])
      if (batch.slices === slices) endBatch(program!.requester, batch, OVERSTAYED)
  }

  function endBatch(requester: Requester, { live, controller }: Batch, reason: string): void {
    refuse(
      requester,
      Array.from(live, id => ({ id })),
      reason
    )
    controller.abort()
  }

  // ---- what requesters say ----

  /** Why this slice is not taken. */
  function objection(requester: Requester, { message }: Program, slice: LeasedSlice): string | undefined {
    if (isStopped) return 'the worker is stopping'
    if (!requester.own) {
      if (policy.slots === 0) return 'this node lends nothing'
      const { type, memoryMb } = message
      const { expectedMs, price } = slice
      const reason =
        policy.admit({ requester: requester.id, type, memoryMb, expectedMs, price }) ??
        credit.objection(requester.id) ??
        unpaid.objection(requester.id)
      if (reason != null) return reason
      if (pauses.isPaused(requester.id) && !isSecured(requester, slice)) return GAVE_WAY
    }
    const full = slice.stay ? stays.objection(requester.id) : undefined
    if (full != null) return full
    if (requester.held >= capacity() * WINDOW_PER_SLOT) return 'the window is full'
  }

  function unload(program: Program, isOver = false): void {
    const { requester, message, queue, running } = program
    turns.remove(program)
    letGo(requester, queue)
    program.queue = []
    freeProgram(program, isOver)
    for (const batch of running) batch.controller.abort()
    sessions.drop(program)
    requester.programs.delete(message.program)
  }

  function receive(requester: Requester, message: FromRequester, spentMs = 0): void {
    switch (message.t) {
      case 'load':
        load(requester, message, spentMs)
        break
      case 'lease':
        lease(requester, message.slices, spentMs)
        break
      case 'revoke':
        if (message.slices.filter(id => revoke(requester, id)).length > 0)
          requester.costs.waste(requester.id, spentMs)
        else wasted(requester, spentMs, message.slices.length)
    }
  }

  function wasted({ id, own, costs }: Requester, spentMs: number, slices = 0): void {
    if (!own) costs.waste(id, Math.max(spentMs, VAIN_MS + slices * VAIN_SLICE_MS))
  }

  /** What has nothing to do gives way to what is new, and its requester is told. */
  function load(requester: Requester, message: Extract<FromRequester, { t: 'load' }>, spentMs: number): void {
    const { programs } = requester
    if (programs.has(message.program)) wasted(requester, spentMs)
    else
      while (!takeProgram(requester, message, spentMs)) {
        const free = [...programs.values()].find(
          ({ queue, running }) => queue.length === 0 && running.size === 0
        )
        if (free == null) {
          wasted(requester, spentMs)
          refuse(requester, [], TOO_MANY_PROGRAMS, message.program)
          return
        }
        unload(free)
        refuse(requester, [], MADE_ROOM, free.message.program)
      }
    requester.send({ t: 'loaded', program: message.program })
  }

  function lease(requester: Requester, slices: LeasedSlice[], spentMs: number): void {
    const refused = new Map<string, LeasedSlice[]>()
    const unknown = new Map<string, LeasedSlice[]>()
    let taken = 0
    for (const slice of slices) {
      const program = requester.programs.get(slice.program)
      if (program == null) {
        unknown.set(slice.program, [...(unknown.get(slice.program) ?? []), slice])
        continue
      }
      const reason = objection(requester, program, slice) ?? hold(requester, slice)
      if (reason != null) {
        program.wasAsked = true
        refused.set(reason, [...(refused.get(reason) ?? []), slice])
      } else {
        program.unusedMs = 0
        turns.add(program, slice)
        taken++
      }
    }
    if (refused.has(GAVE_WAY) && pauses.takesNoHeed(requester.id))
      requester.costs.waste(requester.id, PROCESS_MS)
    else if (taken === 0) wasted(requester, spentMs, slices.length)
    for (const [program, each] of unknown) refuse(requester, each, 'the program is not loaded', program)
    for (const [reason, each] of refused) refuse(requester, each, reason)
    turns.pump()
    makeWay()
  }

  /** Whether it was still here. */
  function revoke(requester: Requester, id: number): boolean {
    for (const program of requester.programs.values()) {
      const at = program.queue.findIndex(slice => slice.id === id)
      if (at >= 0) {
        letGo(requester, program.queue.splice(at, 1))
        if (program.queue.length === 0) turns.remove(program)
        return true
      }
      for (const batch of program.running) {
        if (!batch.live.delete(id)) continue
        if (batch.live.size === 0) batch.controller.abort()
        return true
      }
    }
    return false
  }

  return {
    offer,

    /** A requester connected: its first message is this node's offer. `own`: it is this node itself. */
    connect(id: string, send: (message: FromWorker) => void, own = false): WorkerConnection {
      const requester: Requester = {
        id,
        send,
        own,
        programs: new Map(),
        said: '',
        held: 0,
        programBytes: 0,
        inputBytes: 0,
        costs: own ? UNCOUNTED : components.costs,
        closed: false
      }
      requesters.add(requester)
      sendOffer(requester)
      return {
        receive: (message, spentMs) => receive(requester, message, spentMs),
        close() {
          requester.closed = true
          requesters.delete(requester)
          for (const program of requester.programs.values()) unload(program, true)
        }
      }
    },

    /** slices of others that run now */
    get lent(): number {
      return [...requesters]
        .filter(({ own }) => !own)
        .flatMap(({ programs }) => [...programs.values()])
        .flatMap(({ running }) => [...running])
        .reduce((sum, { live }) => sum + live.size, 0)
    },

    stop(): void {
      isStopped = true
      turns.stop()
      sessions.stop()
      clearInterval(heartbeat)
      for (const { programs } of requesters) for (const program of programs.values()) unload(program)
    }
  }
}

export type ComputeWorker = ReturnType<typeof createWorker>
