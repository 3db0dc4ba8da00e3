import type { Session } from '../../sandbox/index.ts'
import { giveBack } from '../data/give-back.ts'
import {
  type FromWorker,
  type LeasedSlice,
  type LoadMessage,
  programBytes
} from '../protocol/compute-messages.ts'
import { MAX_PROGRAMS, MAX_PROGRAMS_BYTES } from '../protocol/limits.ts'
import type { PeerCosts } from '../protocol/peer-costs.ts'

/*
 * What this worker holds for requesters, and what of its memory that takes.
 */

// What inputs that wait for their turn may take of this node's memory; a message may come beside them and the programs.
const MAX_INPUT_BYTES = 32 * 1024 * 1024
// What a program of so many bytes wastes at least for which no slice ever came, when it gives way to another: its memory stays for
// a while after it was given back, with that of the pieces in which it came. Slices follow their program at once, so one of 20 MiB
// is enough to be shut out. Half of it counts where the stream ended, for it may have broken in between; an eighth where slices were
// refused, for it was this node that did not want them.
const MS_PER_BYTE = 52 / 2 ** 20
const MAX_UNUSED_MS = 1_040
const OVER_PART = 1 / 2
const ASKED_PART = 1 / 8
// A piece that lies elsewhere: a digest, its place and its holders.
const PIECE_BYTES = 128

export const TOO_MANY_PROGRAMS = `more than ${MAX_PROGRAMS} programs or ${MAX_PROGRAMS_BYTES} bytes of them at a time`

export interface Program {
  message: LoadMessage
  queue: LeasedSlice[]
  running: Set<Batch>
  idle: { session: Session; timer: NodeJS.Timeout }[]
  requester: Requester
  bytes: number
  /** slices of it came, and were refused */
  wasAsked: boolean
  /** what it counts for when it is dropped, until it is used */
  unusedMs: number
  /** ms per slice as seen here */
  sliceMs?: number
}

/** Slices that run together in one process. */
export interface Batch {
  slices: readonly LeasedSlice[]
  live: Set<number>
  startedAt: number
  /** its inputs were there */
  fetchedAt?: number
  /** its process was there */
  readyAt?: number
  controller: AbortController
}

export interface Requester {
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

/** Takes the memory of a program, if there is so much. */
export function takeProgram(requester: Requester, message: LoadMessage, spentMs: number): boolean {
  const { id, programs, costs } = requester
  const bytes = programBytes(message)
  const isMuch = programs.size >= MAX_PROGRAMS || requester.programBytes + bytes > MAX_PROGRAMS_BYTES
  if ((programs.size > 0 && isMuch) || !costs.keep(id, bytes)) return false
  requester.programBytes += bytes
  const program = {
    message,
    queue: [],
    running: new Set<Batch>(),
    idle: [],
    requester,
    bytes,
    wasAsked: false,
    unusedMs: Math.max(spentMs, Math.min(MAX_UNUSED_MS, bytes * MS_PER_BYTE))
  }
  programs.set(message.program, program)
  return true
}

/** Gives the memory of a program back, with what it took to read it where it was never used. `isOver`: its stream has ended */
export function freeProgram(
  { requester, message, bytes, unusedMs, wasAsked }: Program,
  isOver = false
): void {
  requester.programBytes -= bytes
  requester.costs.free(requester.id, bytes)
  if (requester.own || unusedMs === 0) return
  // all of its memory: a large part lies in the message that it came in, of which nothing else is used
  for (const part of [message.source, message.context])
    if (part instanceof Uint8Array) giveBack(new Uint8Array(part.buffer))
  requester.costs.waste(requester.id, unusedMs * (wasAsked ? ASKED_PART : isOver ? OVER_PART : 1))
}

/** Takes a slice with the memory of its inputs, or says why not. */
export function hold(requester: Requester, slice: LeasedSlice): string | undefined {
  const bytes = inputBytes([slice])
  const isMuch = requester.held > 0 && requester.inputBytes + bytes > MAX_INPUT_BYTES
  if (isMuch || !requester.costs.keep(requester.id, bytes)) return 'the memory for inputs is full'
  requester.held++
  requester.inputBytes += bytes
}

/** These slices are done with: their inputs are not kept any more. */
export function letGo(requester: Requester, slices: LeasedSlice[]): void {
  const bytes = inputBytes(slices)
  requester.held -= slices.length
  requester.inputBytes -= bytes
  requester.costs.free(requester.id, bytes)
}

/** Micro-credits of slices. */
export const priceOf = (slices: readonly { price: number }[]): number =>
  slices.reduce((sum, { price }) => sum + price, 0)

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
