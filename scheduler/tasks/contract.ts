import type { Failure, Program } from '../../sandbox/index.ts'
import type { SliceInput } from '../data/pieced-input.ts'
import type { LoadMessage } from '../protocol/compute-messages.ts'
import type { Outcomes } from '../trust/answer-digest.ts'

/** Runs one input of the plan's own program in this node's sandbox, for steps that need the author's code here; canonical bytes out. */
export type RunHere = (input: unknown) => Promise<Uint8Array>

/** A list in canonical bytes, of which unit on it is, and where its items begin. */
export interface AddedList {
  first: number
  from: number
  list: Uint8Array
}

/** Combines the results of slices, in whatever order they come, into one result that does not depend on the order. */
export interface Reducer {
  /**
   * Takes the output of units [first, first + count), which `workers` gave. Throws when it is not of the expected form:
   * a wrong result.
   */
  add(first: number, count: number, value: Uint8Array, workers?: string[]): void
  /** canonical bytes of the result, once every unit was added */
  finish(run: RunHere): Promise<Uint8Array>
  /** Where the result is the lists that were added, one after the other: these, once every unit was. */
  lists?(): AddedList[]
  /** what the result would be if the units so far were all; absent where that says nothing */
  soFar?(): unknown
}

/**
 * A task as work that can be cut: `units` equal-ranked pieces numbered from 0; any interval of them is a slice.
 * Nothing is materialised before it is leased, so a range of 10^12 items costs no memory.
 */
export interface Plan {
  units: number
  program: Program
  /** the program's input for units [first, first + count) */
  input(first: number, count: number): unknown
  createReducer(): Reducer
  /** Of the answer to a slice, what the answer to its units [first, first + count) alone would be; absent where units are folded. */
  cut?(answer: Uint8Array, first: number, count: number): Uint8Array
  /** Programs of the same name here are taken to be equally fast; default: only the very same program. */
  speed?: string
  /** bytes that one unit takes in a message, where that is not the spec's size divided by the units */
  unitBytes?: number
  /** calculates the result in the coordinator, where that is cheaper than to send the inputs */
  here?: () => Uint8Array
  /** Its results may stay at the workers: answers are lists, and these one after the other are the result. */
  keeps?: {
    /** how many results so many units have; undefined: any number */
    results?(first: number, count: number): number
  }
  /** items that a unit takes of its spec's `items`; default: one */
  itemsPerUnit?: number
  /** the input whose output is the result itself: the whole task at once, as one of a batch */
  whole: unknown
}

/** Units that run with one program: a whole task, or the tasks of a batch that share their code. */
export interface Part {
  units: number
  mostUnits: number
  /** bytes that travel with each unit, and once to each worker */
  unitBytes: number
  onceBytes: number
  /** what measured speeds belong to: the same code with units of the same kind */
  rateKey: string
  load: LoadMessage
  /** encoded inputs of the units [first, first + count): one, or one per task of a batch */
  inputs(first: number, count: number): SliceInput[]
  /** Of the outcomes of one slice, what those of its units [first, first + count) alone would be; absent where units are folded. */
  cut?(outcomes: Outcomes, first: number, count: number): Outcomes
  /** The outcomes of one slice as bytes that the reducer takes, or why they are none. */
  pack(outcomes: Outcomes, count: number, first: number): Uint8Array | Failure
  /** large answers stay at their workers (tasks/shuffle/shuffle.ts) */
  keep?: boolean
  /** results stay at their workers for later jobs (kept-part.ts) */
  stay?: boolean
  /** where its inputs stayed, when they are a dataset's */
  source?: Source
  /** for units whose inputs other workers keep, who may be gone */
  missing?: {
    /** those of `digests` that the unit needs */
    of(unit: number, digests: Uint8Array[]): Uint8Array[]
    /** What the reducer takes in place of a result; `digests`: what workers could not get. */
    result(digests: Uint8Array[]): Uint8Array
  }
  reducer: Reducer
  /** a new one, when accepted results turned out to be in doubt */
  createReducer(): Reducer
  /** its part of the job's bound: the first of the second; those of all parts together are never more than one */
  share: [part: number, of: number]
}

/** Inputs that stayed where they were made. */
export interface Source {
  dataset: string
  /** who has the inputs of which units; undefined where nobody is preferred */
  homes?: Home[]
  /** true while some of the inputs of these units are being calculated again */
  isWaiting(first: number, count: number): boolean
  /** Told of blocks that a worker could not get; true where any of them is of this source. */
  lost(digests: Uint8Array[]): boolean
}

/** Units [first, first + count) and who has their inputs. */
export interface Home {
  first: number
  count: number
  holders: readonly string[]
}

/** A part has the same number in every run of its job: what was accepted of it before a restart belongs to it. */
export type NumberedPart = [index: number, part: Part]

/** Gives what runs an input of the part's program in this node's own sandbox. */
export type RunPart = (part: Part) => RunHere

/** A job as parts, which may depend on each other, and how their results make one. */
export interface Work {
  /** units of all parts; a part that cannot be planned yet counts as one */
  readonly total: number
  /** The parts that can run after this one is complete; `undefined`: at the start. Nothing but results decides. */
  next(completed: number | undefined, run: RunPart): Promise<NumberedPart[]>
  /** the failure of a part as the owner of the job should read it */
  explain?(index: number, failure: Failure): Failure
  finish(run: RunPart): Promise<Uint8Array>
  /** In place of `finish`, where its result is the lists that are the answers of one part. */
  lists?(): { part: number; lists: AddedList[] } | undefined
  /** the result of what is accepted so far; undefined where it says nothing */
  soFar?(): unknown
}

export const malformed: Failure = {
  name: 'invalid-result',
  message: 'the answer does not have one outcome per input'
}

/** The failure with what its process printed. */
export const heard = (failure: Failure, said = ''): Failure => (said === '' ? failure : { ...failure, said })
