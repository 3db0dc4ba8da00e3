import type { ComponentLogger, Logger } from '@libp2p/interface'
import type { SliceWork } from '../../ledger/index.ts'
import type { Outcome, Sandbox, Session } from '../../sandbox/index.ts'
import type {
  FromRequester,
  FromWorker,
  LeasedSlice,
  LoadMessage,
  OfferMessage,
  SliceResult
} from '../protocol/compute-messages.ts'
import { spill } from '../protocol/kept-partitions.ts'
import { MAX_OUTPUT_BYTES } from '../protocol/limits.ts'
import { type PeerCosts, UNCOUNTED } from '../protocol/peer-costs.ts'
import type { WorkerConnection } from '../protocol/worker-end.ts'
import type { BlockExchange } from '../streams/block-exchange.ts'
import { digestOf } from '../trust/answer-digest.ts'
import { BlocksMissingError, createWorkerInputs } from './gather-inputs.ts'
import { createKeptBlocks, type KeptBlocks } from './kept-blocks.ts'
import type { OfferTerms, WorkerPolicy } from './lending-policy.ts'
import { inResultMessages, MAX_MESSAGE_CHARS, toTravel } from './result-messages.ts'
import { createUnpaidTime, unpaidMs } from './unpaid-time.ts'
import type { Credit } from './unsecured-work.ts'

// Outstanding slices per requester: enough to hide a round trip, few enough to bound memory.
const WINDOW_PER_SLOT = 64
// Programs that one requester may keep loaded.
const MAX_PROGRAMS = 256
// What they, with their contexts, may take of this node's memory, and the inputs that wait for their turn. A message may come
// beside both.
const MAX_PROGRAMS_BYTES = 96 * 1024 * 1024
const MAX_INPUT_BYTES = 32 * 1024 * 1024
// A piece that lies elsewhere: a digest, its place and its holders.
const PIECE_BYTES = 128
const HEARTBEAT_MS = 1000
// What a policy without terms asks and accepts: the base price, everything.
const BASE_TERMS: OfferTerms = { multiplier: 1, minPriceMicro: 0, tags: [] }
// A process waits this long for more work of its program before it is thrown away.
const IDLE_SESSION_MS = 5000
// Small slices are run together up to this expected time, so that their answers do not wait for each other long.
const BATCH_MS = 20
const MAX_SLICES_PER_RUN = 64
// Slices whose blocks are fetched ahead: two of the usual 4 MiB are enough to keep the sandbox busy.
const PREFETCH_SLICES = 2

interface Program {
  message: LoadMessage
  queue: LeasedSlice[]
  running: Set<Run>
  idle: { session: Session; timer: NodeJS.Timeout }[]
  connection: Requester
  bytes: number
  /** what it took to read it, until it is used */
  unusedMs: number
  /** ms per slice as seen here */
  sliceMs?: number
}

interface Run {
  live: Set<number>
  startedAt: number
  /** micro-credits, of all its slices */
  price: number
  controller: AbortController
}

interface Requester {
  id: string
  /** this node itself, which may always compute for its owner */
  own: boolean
  send(message: FromWorker): void
  programs: Map<string, Program>
  /** the last offer that it got, without what is free just now */
  said: string
  held: number
  /** of programs, and of inputs that wait */
  programBytes: number
  inputBytes: number
  costs: PeerCosts
  closed: boolean
}

/** Serves slices to requesters in `slots` processes at a time, programs in turn. */
export function createWorker(
  policy: WorkerPolicy,
  components: {
    sandbox: Sandbox
    logger: ComponentLogger
    /** blocks of a requester, for inputs that are given by CID */
    blocks?: Pick<BlockExchange, 'get'>
    /** where answers stay that other workers fetch */
    kept?: KeptBlocks
    /** this node's signature under an answer */
    sign(job: string, work: SliceWork): Uint8Array
    /** what others may cost */
    costs: PeerCosts
    /** Slices were done for somebody else. */
    worked?(requester: string, work: { slices: number; ms: number; earned: bigint }): void
    /** how far others are trusted to pay */
    credit?: Credit
    /** ms, monotonic */
    now?: () => number
    /** false where jobs under this node's own name may hold strangers' code */
    trustsOwn?: boolean
  }
) {
  const { sandbox, now = () => performance.now() } = components
  const log: Logger = components.logger.forComponent('artel:worker')
  const { kept = createKeptBlocks(), blocks } = components
  const inputs = createWorkerInputs({ blocks, kept, log })
  const unpaid = createUnpaidTime(now)
  const requesters = new Set<Requester>()
  // the owner may compare results here also where nothing is lent
  const capacity = (): number => Math.max(1, policy.slots)
  /** programs with queued slices, in turn: the owner's own before those of others */
  const ownWaiting = new Set<Program>()
  const othersWaiting = new Set<Program>()
  const lineOf = ({ connection }: Program): Set<Program> => (connection.own ? ownWaiting : othersWaiting)
  let running = 0
  /** ms that slots were busy until `changedAt`, all together */
  let busyMs = 0
  let changedAt = performance.now()
  let stopped = false

  const offer = (own = false): OfferMessage => {
    const slots = own ? capacity() : policy.closed?.() == null ? policy.slots : 0
    return {
      t: 'offer',
      class: sandbox.class,
      slots,
      free: Math.max(0, slots - running),
      window: slots * WINDOW_PER_SLOT,
      walled: sandbox.walled,
      ramMb: policy.memoryMb,
      ...(policy.terms ?? BASE_TERMS)
    }
  }

  const heartbeat = setInterval(() => {
    account(0)
    policy.observe?.(busyMs)
    components.credit?.refresh()
    kept.expire()
    for (const requester of requesters) {
      callBack(requester)
      if (requester.held > 0) requester.send({ t: 'alive' })
      // the owner changed what is lent, or the hour did
      if (said(offer(requester.own)) !== requester.said) sendOffer(requester)
    }
  }, HEARTBEAT_MS)
  heartbeat.unref()

  /** Ends what a requester runs when it has used up what it may use unpaid. */
  function callBack(requester: Requester): void {
    if (requester.own) return
    const runs = [...requester.programs.values()].flatMap(({ running }) => [...running])
    const time = now()
    const running = runs.reduce((sum, { startedAt, price }) => sum + unpaidMs(time - startedAt, price), 0)
    const reason = running > 0 ? unpaid.objection(requester.id, running) : undefined
    if (reason == null) return
    for (const { live, controller } of runs) {
      refuse(
        requester,
        Array.from(live, id => ({ id })),
        reason
      )
      controller.abort()
    }
  }

  // the owner is offered one slot also where nothing is lent, but not the same way
  const said = ({ free: _, ...message }: OfferMessage): string => JSON.stringify([policy.slots, message])

  function sendOffer(requester: Requester): void {
    const message = offer(requester.own)
    requester.said = said(message)
    requester.send(message)
  }

  function account(change: number): void {
    const now = performance.now()
    busyMs += running * (now - changedAt)
    changedAt = now
    running += change
  }

  function pump(): void {
    for (const line of [ownWaiting, othersWaiting]) pumpLine(line)
  }

  function pumpLine(line: Set<Program>): void {
    for (const program of line) {
      if (running >= capacity() || stopped) return
      line.delete(program)
      const slices = take(program)
      // to the end of the line, so that programs take turns
      if (program.queue.length > 0) line.add(program)
      account(1)
      run(program, slices)
        .catch(err => {
          log.error('a batch failed: %e', err)
          refuse(program.connection, slices, `the worker could not run it: ${(err as Error).message}`)
        })
        .finally(() => {
          account(-1)
          pump()
        })
    }
  }

  function take(program: Program): LeasedSlice[] {
    const each = Math.max(program.sliceMs ?? program.queue[0]?.expectedMs ?? BATCH_MS, 0.01)
    const count = Math.max(1, Math.min(MAX_SLICES_PER_RUN, Math.floor(BATCH_MS / each)))
    return program.queue.splice(0, count)
  }

  async function run(program: Program, slices: LeasedSlice[]): Promise<void> {
    const { connection } = program
    const controller = new AbortController()
    const current: Run = {
      live: new Set(slices.map(slice => slice.id)),
      startedAt: now(),
      price: priceOf(slices),
      controller
    }
    let earned = 0
    program.running.add(current)
    let session: Session | undefined
    try {
      const fetched = await Promise.all(slices.map(slice => fetch(connection, slice, current)))
      const ready = slices.filter((_, i) => fetched[i] != null)
      if (ready.length === 0) return
      for (const { inputs: next } of program.queue.slice(0, PREFETCH_SLICES))
        inputs.prefetch(connection.id, next)
      session = await acquire(program, controller.signal)
      const outcomes = await session.run(
        fetched.flatMap(each => each ?? []),
        { signal: controller.signal }
      )
      if (connection.closed) return
      const results = withoutOverdue(program, distribute(ready, outcomes, program))
      for (const part of inResultMessages(results)) connection.send({ t: 'result', slices: part })
      if (!connection.own) earned = count(connection.id, ready, results)
    } catch (err) {
      const { name, message } = err as Error
      if (connection.closed || controller.signal.aborted) return
      if (name === 'ProgramError' || name === 'WallMissingError') {
        const outcome = {
          name: name === 'ProgramError' ? ('threw' as const) : ('wall-missing' as const),
          message: message.slice(0, MAX_MESSAGE_CHARS)
        }
        connection.send({
          t: 'result',
          slices: slices.map(slice =>
            signed(
              slice,
              0,
              slice.inputs.map(() => outcome)
            )
          )
        })
      } else throw err
    } finally {
      program.running.delete(current)
      if (!connection.own) unpaid.used(connection.id, now() - current.startedAt, earned)
      letGo(connection, slices)
      if (session != null) release(program, session)
    }
  }

  /** The owner's own limit is no failure of the program: such a slice is refused, and another worker may have more time. */
  function withoutOverdue({ connection, message }: Program, results: SliceResult[]): SliceResult[] {
    if (connection.own || message.timeoutMs <= policy.maxSliceMs) return results
    const isOverdue = ({ outcomes }: SliceResult): boolean =>
      outcomes.some(outcome => !(outcome instanceof Uint8Array) && outcome.name === 'timeout')
    const overdue = results.filter(isOverdue)
    const reason = `a slice took longer than ${policy.maxSliceMs / 1000} s, the most that this worker gives to one`
    if (overdue.length > 0) refuse(connection, overdue, reason)
    return results.filter(result => !isOverdue(result))
  }

  /** Books what was done for somebody else; micro-credits of it. */
  function count(requester: string, slices: LeasedSlice[], results: SliceResult[]): number {
    const byId = new Map(slices.map(slice => [slice.id, slice]))
    const done = results.flatMap(({ id, ms, outcomes }) => {
      const { job, price } = byId.get(id)!
      return outcomes.every(outcome => outcome instanceof Uint8Array) ? { ms, job, price } : []
    })
    if (done.length === 0) return 0
    for (const { job, price } of done) components.credit?.earned(requester, job, price)
    const earned = priceOf(done)
    components.worked?.(requester, {
      slices: done.length,
      ms: done.reduce((sum, { ms }) => sum + ms, 0),
      earned: BigInt(earned)
    })
    return earned
  }

  /** The inputs of a slice; nothing where other workers do not have their part, which its requester is told. */
  async function fetch(
    connection: Requester,
    slice: LeasedSlice,
    { controller, live }: Run
  ): Promise<Uint8Array[] | undefined> {
    try {
      return await inputs.fetch(connection.id, slice.inputs, controller.signal)
    } catch (err) {
      if (!(err instanceof BlocksMissingError)) throw err
      live.delete(slice.id)
      if (connection.closed) return
      const { message: reason, missing } = err
      connection.send({ t: 'refused', slices: [slice.id], reason, missing })
      return
    }
  }

  /** What is sent of a slice's outcomes. */
  function toSend({ keep }: LeasedSlice, own: Outcome[]): SliceResult['outcomes'] {
    const outcomes = toTravel(own)
    const [value] = outcomes
    const isOne = outcomes.length === 1 && value instanceof Uint8Array
    const spilled = keep && isOne ? spill(value) : undefined
    if (spilled == null) return outcomes
    for (const [digest, block] of spilled.blocks) kept.put(digest, block)
    return [spilled.value]
  }

  function distribute(slices: LeasedSlice[], outcomes: Outcome[], program: Program): SliceResult[] {
    let at = 0
    return slices.map(slice => {
      const own = outcomes.slice(at, at + slice.inputs.length)
      at += slice.inputs.length
      const ms = own.reduce((sum, outcome) => sum + outcome.ms, 0)
      program.sliceMs = program.sliceMs == null ? ms : program.sliceMs * 0.7 + ms * 0.3
      return signed(slice, ms, toSend(slice, own))
    })
  }

  function signed(slice: LeasedSlice, ms: number, outcomes: SliceResult['outcomes']): SliceResult {
    const work = { slice: slice.id, digest: digestOf(outcomes), amount: BigInt(slice.price) }
    return { id: slice.id, ms, outcomes, signature: components.sign(slice.job, work) }
  }

  async function acquire(program: Program, signal: AbortSignal): Promise<Session> {
    const warm = program.idle.pop()
    if (warm != null) {
      clearTimeout(warm.timer)
      return warm.session
    }
    makeRoom()
    const { kind, source, functions, driver, context, seed, timeoutMs, memoryMb } = program.message
    const requester = program.connection.id
    return sandbox.open(
      { kind, source, export: program.message.export, functions, driver, context, seed },
      {
        requester,
        trusted: (program.connection.own && components.trustsOwn) || policy.trusted(requester),
        limits: {
          timeoutMs: program.connection.own ? timeoutMs : Math.min(timeoutMs, policy.maxSliceMs),
          memoryMb: Math.min(memoryMb, policy.memoryMb),
          outputBytes: MAX_OUTPUT_BYTES
        },
        signal
      }
    )
  }

  function release(program: Program, session: Session): void {
    if (program.connection.closed || stopped) {
      end(session)
      return
    }
    const entry = { session, timer: setTimeout(() => retire(program, entry), IDLE_SESSION_MS) }
    program.idle.push(entry)
  }

  function retire(program: Program, entry: Program['idle'][number]): void {
    clearTimeout(entry.timer)
    program.idle = program.idle.filter(other => other !== entry)
    end(entry.session)
  }

  const end = (session: Session): void => {
    session.close().catch(err => log.error('a sandbox did not close: %e', err))
  }

  /** Idle processes of other programs give way: with those that run there are at most as many as slots. */
  function makeRoom(): void {
    const idle = [...requesters]
      .flatMap(requester => [...requester.programs.values()])
      .filter(program => program.idle.length > 0)
    const count = idle.reduce((sum, program) => sum + program.idle.length, 0)
    if (count + running > capacity() && idle[0] != null) retire(idle[0], idle[0].idle[0]!)
  }

  function refuse(requester: Requester, slices: { id: number }[], reason: string, program?: string): void {
    requester.send({
      t: 'refused',
      program,
      slices: slices.map(slice => slice.id),
      reason: reason.slice(0, MAX_MESSAGE_CHARS)
    })
  }

  /** Why this slice is not taken. */
  function objection(requester: Requester, { message }: Program, slice: LeasedSlice): string | undefined {
    if (stopped) return 'the worker is stopping'
    if (!requester.own) {
      if (policy.slots === 0) return 'this node lends nothing'
      const { type, memoryMb } = message
      const { expectedMs, price } = slice
      const reason =
        policy.admit({ requester: requester.id, type, memoryMb, expectedMs, price }) ??
        components.credit?.objection(requester.id) ??
        unpaid.objection(requester.id)
      if (reason != null) return reason
    }
    if (requester.held >= capacity() * WINDOW_PER_SLOT) return 'the window is full'
  }

  /** Takes a slice with the memory of its inputs, or says why not. */
  function hold(requester: Requester, slice: LeasedSlice): string | undefined {
    const bytes = inputBytes([slice])
    const isMuch = requester.held > 0 && requester.inputBytes + bytes > MAX_INPUT_BYTES
    if (isMuch || !requester.costs.keep(requester.id, bytes)) return 'the memory for inputs is full'
    requester.held++
    requester.inputBytes += bytes
  }

  /** These slices are done with: their inputs are not kept any more. */
  function letGo(connection: Requester, slices: LeasedSlice[]): void {
    const bytes = inputBytes(slices)
    connection.held -= slices.length
    connection.inputBytes -= bytes
    connection.costs.free(connection.id, bytes)
  }

  function unload(program: Program): void {
    lineOf(program).delete(program)
    letGo(program.connection, program.queue)
    program.queue = []
    const { connection, bytes } = program
    connection.programBytes -= bytes
    connection.costs.free(connection.id, bytes)
    connection.costs.waste(connection.id, program.unusedMs)
    for (const current of program.running) current.controller.abort()
    for (const entry of program.idle) retire(program, entry)
  }

  /** Takes the memory of a program, if there is so much. */
  function hasRoom({ id, programs, programBytes, costs }: Requester, bytes: number): boolean {
    const isMuch = programs.size >= MAX_PROGRAMS || programBytes + bytes > MAX_PROGRAMS_BYTES
    return (programs.size === 0 || !isMuch) && costs.keep(id, bytes)
  }

  function receive(requester: Requester, message: FromRequester, spentMs = 0): void {
    const { costs } = requester
    switch (message.t) {
      case 'load': {
        const old = requester.programs.get(message.program)
        const bytes = sizeOf(message)
        while (old == null && !hasRoom(requester, bytes)) {
          const free = [...requester.programs].find(
            ([, program]) => program.queue.length === 0 && program.running.size === 0
          )
          if (free == null) {
            costs.waste(requester.id, spentMs)
            requester.send({
              t: 'refused',
              program: message.program,
              slices: [],
              reason: `more than ${MAX_PROGRAMS} programs or ${MAX_PROGRAMS_BYTES} bytes of them at a time`
            })
            return
          }
          unload(free[1])
          requester.programs.delete(free[0])
        }
        if (old == null) {
          requester.programBytes += bytes
          requester.programs.set(message.program, {
            message,
            queue: [],
            running: new Set(),
            idle: [],
            connection: requester,
            bytes,
            unusedMs: spentMs
          })
        } else costs.waste(requester.id, spentMs)
        requester.send({ t: 'loaded', program: message.program })
        return
      }
      case 'unload': {
        const program = requester.programs.get(message.program)
        if (program != null) unload(program)
        else costs.waste(requester.id, spentMs)
        requester.programs.delete(message.program)
        return
      }
      case 'lease': {
        const refused = new Map<string, LeasedSlice[]>()
        let taken = 0
        for (const slice of message.slices) {
          const program = requester.programs.get(slice.program)
          if (program == null) {
            refuse(requester, [slice], 'the program is not loaded', slice.program)
            continue
          }
          const reason = objection(requester, program, slice) ?? hold(requester, slice)
          if (reason != null) refused.set(reason, [...(refused.get(reason) ?? []), slice])
          else {
            program.unusedMs = 0
            program.queue.push(slice)
            lineOf(program).add(program)
            taken++
          }
        }
        if (taken === 0) costs.waste(requester.id, spentMs)
        for (const [reason, slices] of refused) refuse(requester, slices, reason)
        pump()
        return
      }
      case 'revoke':
        costs.waste(requester.id, spentMs)
        for (const id of message.slices) revoke(requester, id)
    }
  }

  function revoke(requester: Requester, id: number): void {
    for (const program of requester.programs.values()) {
      const at = program.queue.findIndex(slice => slice.id === id)
      if (at >= 0) {
        letGo(requester, program.queue.splice(at, 1))
        if (program.queue.length === 0) lineOf(program).delete(program)
        return
      }
      for (const current of program.running) {
        if (!current.live.delete(id)) continue
        if (current.live.size === 0) current.controller.abort()
        return
      }
    }
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
          for (const program of requester.programs.values()) unload(program)
          requester.programs.clear()
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
      stopped = true
      clearInterval(heartbeat)
      for (const { programs } of requesters) {
        for (const program of programs.values()) unload(program)
        programs.clear()
      }
    }
  }
}

export type ComputeWorker = ReturnType<typeof createWorker>

const priceOf = (slices: { price: number }[]): number => slices.reduce((sum, { price }) => sum + price, 0)

/** What a program takes of this node's memory: everything of it whose length its requester chooses. */
function sizeOf({ source, functions = {}, driver = '', context }: LoadMessage): number {
  const others = Object.entries(functions).reduce(
    (sum, [name, each]) => sum + name.length + each.source.length,
    0
  )
  return source.length + others + driver.length + (context?.length ?? 0)
}

/** What the inputs of slices take while they wait; of those that lie elsewhere, their names. */
function inputBytes(slices: LeasedSlice[]): number {
  let bytes = 0
  for (const { inputs } of slices)
    for (const input of inputs) {
      if (input instanceof Uint8Array) bytes += input.length
      else for (const piece of input.pieces) bytes += piece instanceof Uint8Array ? piece.length : PIECE_BYTES
    }
  return bytes
}
