import type { z } from 'zod'
import type { Outcome } from './commands/command.ts'
import type { Risk } from './fleet/document.ts'
import type { Body, EntryClass } from './log/entry.ts'
import type { Place } from './log/recorder.ts'

/** What other services get by naming this one in `needs`: drivers write what their devices say. */
export interface Devices {
  /**
   * Announces a device of this node. The same kind and serial is the same device, also after a restart; what changed
   * about it is written.
   *
   * @throws {ReadingError} a name that is too long, or too many readings
   */
  open(description: DeviceDescription): Promise<Device>
  /**
   * Commands a device, here or elsewhere, in the name of this node; see `devices.command`. `by`: the person here, empty:
   * its owner.
   *
   * @throws {UnknownDeviceError} @throws {ConflictError} it needs a second signer @throws {CommandError}
   */
  command(
    wanted: WantedCommand,
    by: string,
    signal: AbortSignal
  ): Promise<{ is: Outcome['is'] | 'proposed' } & Partial<Outcome>>
  /** Whether a node may do that here: by the document of the fleet; this node itself may all that one signer may. */
  may(peer: string, what: { device: string; name: string; risk: Risk }): boolean
  /** Where this node has a database, its entries can be read there as the view says, also those of before. */
  show(view: DatabaseView): void
}

export interface DatabaseView {
  name: string
  /** SQL over `artel_device_entry`. Whatever agents write, it must not fail: a cast of what is no number does. */
  query: string
}

export interface WantedCommand {
  device: string
  name: string
  args: Record<string, unknown>
  /** the node beside it; default: the one that is known to have it */
  agent?: string
  /** the node that is to sign too */
  second?: string
  /** it is not done later than that */
  minutes: number
}

export interface DeviceDescription {
  /** the driver's: 'host', 'sas' */
  kind: string
  /** what tells it from others of its kind, also when it moves to another node */
  serial: string
  /** for people */
  name: string
  /** what its samples may hold; by the name of the reading */
  readings: Record<string, ReadingSchema>
  /** which events it has; by kind */
  events: Record<string, EventSchema>
  /** facts that seldom change: a model, a version */
  facts?: Body
  /** what the document of the fleet can set; by name */
  settings?: Record<string, DeviceSetting>
  /** what can be done with it from afar; by name */
  commands?: Record<string, DeviceCommand>
}

/** Both have 10 s; what they throw is told as the reason why the device is not as wanted. */
export interface DeviceSetting {
  type: 'number' | 'text' | 'boolean'
  /** as it is */
  now(): Reading | Promise<Reading>
  set(value: Reading): unknown
}

/** Who may command is decided before, by the document of the fleet; each command is run once, one at a time. */
export interface DeviceCommand {
  /** one line */
  summary: string
  /** 0 looks, 1 can be undone, 2 disturbs, 3 moves money or replaces programs */
  risk: Risk
  /** default: nothing */
  args?: z.ZodObject
  /** default: 30 s, at most 10 min */
  deadlineMs?: number
  /** It waits for no other command of its device, nor they for it: the driver sees to their order. */
  isAside?: boolean
  /**
   * What it answers is in the log, up to 4,000 characters as JSON. What it throws means that it failed; an error with
   * `isUnknown: true`, and its deadline, that nobody can say.
   */
  run(
    args: Record<string, unknown>,
    signal: AbortSignal,
    of: CommandOrigin
  ): Promise<Body | undefined> | Body | undefined
  /** After a crash in the middle: looks whether it was done; undefined: it cannot say. It has as long as `run`. */
  look?(
    args: Record<string, unknown>,
    signal: AbortSignal,
    of: Pick<CommandOrigin, 'id' | 'hash'>
  ): Promise<'done' | 'failed' | undefined> | 'done' | 'failed' | undefined
}

/** Which command it is, and whose. */
export interface CommandOrigin {
  /** the person at the issuer, empty: its owner */
  by: string
  /** unique for its issuer */
  id: string
  /** SHA-256 of what was signed, in hex: no other command has it */
  hash: string
  /** peer ids, the issuer first */
  signers: readonly string[]
}

export interface ReadingSchema {
  /** as the SI writes it, or %, bytes, bytes/s; none: a number that only counts */
  unit?: string
  type: 'number' | 'text' | 'boolean'
}
export interface EventSchema {
  /** accounts are never thinned, and on disk at once: meters, money, exceptions, configuration */
  class: Extract<EntryClass, 'account' | 'event'>
}

export type Reading = number | string | boolean

export interface Device {
  /** <kind>:<serial> */
  readonly id: string
  /**
   * Resolves when it is on the disk. Undefined where the log has no room for samples any more: a `gap` counts them.
   *
   * @throws {ReadingError} a reading that was not announced, or not of its type
   * @throws {LogFullError}
   */
  sample(values: Record<string, Reading>): Promise<Place | undefined>
  /**
   * Resolves when it is on the disk: only then may the device hear that it was taken.
   *
   * @throws {ReadingError} an event that was not announced
   * @throws {EntryError} a body that cannot be written
   * @throws {LogFullError}
   */
  event(kind: string, body: Body): Promise<Place | undefined>
  /** What its newest event of a kind says, as JSON has it, also from before a restart; undefined where there is none. */
  latest(kind: string): Promise<Record<string, unknown> | undefined>
  /**
   * The same of the boards in whose place this one stands (`devices.beforePeers`), as their signed logs have it: asked of the
   * witnesses. Undefined also where none of them answers.
   */
  before(kind: string): Promise<Record<string, unknown> | undefined>
  /** What it measured since `from` (ms since 1970), the oldest first; when there is more, the newest 10,000. */
  samples(from: number): Promise<Sample[]>
  /** It is no longer watched. */
  close(): void
}

export interface Sample {
  /** ms since 1970, as this node's clock said */
  at: number
  values: Record<string, Reading>
}

export type { Body, Place, Risk }
