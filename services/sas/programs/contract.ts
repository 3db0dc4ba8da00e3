import type { ListedPollInput } from '../lists/listed-poll.ts'
import type { Said } from '../lists/said.ts'
import type { MachineState } from '../machine/machine.ts'

/* What programs of a node's owner do with a machine; they stand in the folder `handlers` of its files. */

/** Everything that waits ends with the signal, and after 30 s by itself. */
export interface Wait {
  signal?: AbortSignal
}

/** Something that a machine has said; it is in the log already. */
export interface MachineEvent {
  /** of the exception */
  code: number
  /** its name, where a table has one */
  what?: string
  /** ms since 1970 */
  at: number
}

export interface MachineNow extends MachineState {
  version?: string
  game?: string
  paytable?: string
}

/** What moves money is proposed, and waits for the second node to sign it; see the README of the service. */
export interface MoneyWait extends Wait {
  /** peer id of the node that signs too */
  second: string
}
export interface Ordered {
  id: string
  is: string
  /** what was ordered, in the machine's currency */
  amount: string
}

/**
 * One machine. What it is asked goes through the same guard, log and order of polls as everything else; all of it rejects
 * with `UnknownMachineError` where nobody is there, and control with `PollRefusedError` where `sas.control` is off.
 */
export interface Commands {
  /** line#address */
  readonly place: string
  machine(wait?: Wait): Promise<MachineNow>
  /** Meters by name, or by their code in hex where they have none; undefined: it does not say. 0: of the whole machine. */
  meters(codes: readonly number[], game?: number, wait?: Wait): Promise<Record<string, number> | undefined>
  /** The newest 100 since the start, in their order. */
  exceptions(): readonly MachineEvent[]
  setTime(at?: Date, wait?: Wait): Promise<Said>
  lock(wait?: Wait): Promise<Said>
  enable(wait?: Wait): Promise<Said>
  /** Whether it takes bills. */
  bills(on: boolean, wait?: Wait): Promise<Said>
  /**
   * Proposes a bonus of `value` / `rate`, exact and rounded down to hundredths; `left` of `value` remains.
   *
   * @throws {RangeError} no amount, or nothing is left of it
   */
  jackpot(value: string, wait: MoneyWait & { rate?: string }): Promise<Ordered & { left: string }>
  /** Proposes a transfer to the machine, or `back` from it. */
  transfer(amount: string, wait: MoneyWait & { back?: boolean }): Promise<Ordered>
  /** One poll: command and data in hex as `sas send` takes it, or as files have it (R, S, M, G). */
  raw(poll: string | ListedPollInput, wait?: Wait): Promise<Said>
  /**
   * Calls for each exception of a code, one after the other. What ends it is what it returns, or the signal. What is said
   * while the node ends is in the log only.
   */
  on(
    code: number | 'any',
    handler: (event: MachineEvent, wait: Required<Wait>) => unknown,
    wait?: Wait
  ): () => void
  /** Runs a set, see `sas run`. */
  run(set: string, wait?: Wait): Promise<Said[]>
}

/** What a file of `handlers` has as its default: called for each machine when the service starts. */
export type Program = (machine: Commands) => unknown
