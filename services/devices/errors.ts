/** Bytes that are no entry, batch or export of a device log, or go beyond a limit. */
export class EntryError extends Error {
  override readonly name = 'EntryError'
}

/** Entries that do not follow from each other: a hash, a number or a signature is not what it must be. `seq` is where. */
export class ChainError extends Error {
  override readonly name = 'ChainError'
  readonly seq: number
  constructor(seq: number, message: string) {
    super(message)
    this.seq = seq
  }
}

/** The disk, or what the log may take of it, is full; nothing of what was there is lost. */
export class LogFullError extends Error {
  override readonly name = 'LogFullError'
}

/** A reading or event that the device did not announce, or a value that is none. */
export class ReadingError extends Error {
  override readonly name = 'ReadingError'
}

/** No such device, or chain. */
export class UnknownDeviceError extends Error {
  override readonly name = 'UnknownDeviceError'
}

/** A path on this machine that cannot be read or written as asked. */
export class ExportPathError extends Error {
  override readonly name = 'ExportPathError'
}

/** The database that mirrors the logs is not there, or not set up. */
export class MirrorError extends Error {
  override readonly name = 'MirrorError'
}

/** No such alert, rule or silence. */
export class UnknownAlertError extends Error {
  override readonly name = 'UnknownAlertError'
}

/** Bytes that are no command, or more than one may have. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** No such command waits for a signer. */
export class UnknownCommandError extends Error {
  override readonly name = 'UnknownCommandError'
}
