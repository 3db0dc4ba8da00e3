import { CONFLICT, FORBIDDEN, FULL, MACHINE, NOT_FOUND, USAGE, type Verdicts } from '../host/index.ts'
import type { State } from './contract.ts'

class VmError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** The command, its count of words or a number in it is wrong; the message holds the value. */
export class UsageError extends VmError {}
/** There is no such thing, or the caller may not see it: the two cannot be told apart from outside. */
export class NotFoundError extends VmError {}
/** The caller sees the machine and may not do this to it. */
export class ForbiddenError extends VmError {}
/** The figures do not fit what is registered, or the command's signature, time or host is wrong. */
export class AuthError extends VmError {}
export class ExistsError extends VmError {}
export class QuotaError extends VmError {}
/** The host has no room, or an image is not what it says. */
export class StorageError extends VmError {}
/** Another operation holds the machine. */
export class BusyError extends VmError {}
/** The machine's state does not allow it. */
export class StateError extends VmError {
  constructor(id: string, state: State, needed: string) {
    super(`machine ${id} is ${state}; ${needed}`)
  }
}
/** The guest did not let go of a device within the deadline. */
export class GuestHoldsError extends VmError {}
/** QEMU refused a command, fell silent or could not be started. */
export class QemuError extends VmError {
  /** it said no, and did nothing */
  readonly isRefusal: boolean
  constructor(
    message: string,
    { isRefusal = false, ...options }: ErrorOptions & { isRefusal?: boolean } = {}
  ) {
    super(message, options)
    this.isRefusal = isRefusal
  }
}
/** The database does not answer; what it said stays in the log. */
export class DatabaseError extends VmError {}
/** Walls, QEMU or KVM are missing on this host. */
export class HostUnfitError extends VmError {}

/** What the outside sees of each. */
export const VERDICTS: Verdicts = {
  UsageError: USAGE,
  AuthError: { ...FORBIDDEN, status: 401 },
  ForbiddenError: FORBIDDEN,
  NotFoundError: NOT_FOUND,
  ExistsError: CONFLICT,
  BusyError: CONFLICT,
  StateError: CONFLICT,
  GuestHoldsError: CONFLICT,
  QuotaError: FORBIDDEN,
  StorageError: FULL,
  QemuError: MACHINE,
  DatabaseError: { ...MACHINE, status: 503 },
  HostUnfitError: { ...MACHINE, status: 503 }
}
