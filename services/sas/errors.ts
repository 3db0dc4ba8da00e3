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

/** A file of polls that is not right: which line and field. */
export class ListFileError extends Error {
  override readonly name = 'ListFileError'
}

/** No set of polls has this name. */
export class UnknownSetError extends Error {
  override readonly name = 'UnknownSetError'
}
