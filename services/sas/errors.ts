/** Bytes that are no such frame, or a value that a frame cannot carry. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

/** A line that cannot be opened, or is gone. */
export class LineError extends Error {
  override readonly name = 'LineError'
}

/** A poll that is not allowed here; nothing of it was sent. */
export class PollRefusedError extends Error {
  override readonly name = 'PollRefusedError'
}

/** No such machine, or it is not there now. */
export class UnknownMachineError extends Error {
  override readonly name = 'UnknownMachineError'
}
