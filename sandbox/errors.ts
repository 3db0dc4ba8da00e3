/** The program cannot be loaded. `line` (from 1) and `column` (from 1) point into the author's text. */
export class ProgramError extends Error {
  override name = 'ProgramError'
  readonly line: number | undefined
  readonly column: number | undefined
  /** which text: `task`, or the name of one of `functions` */
  readonly part: string

  constructor(message: string, part = 'task', line?: number, column?: number) {
    super(line === undefined ? `${part}: ${message}` : `${part}:${line}:${column}: ${message}`)
    this.part = part
    this.line = line
    this.column = column
  }
}

/** A stranger's program, and a wall is missing. */
export class WallMissingError extends Error {
  override name = 'WallMissingError'
}

/** A value that has no canonical encoding, or bytes that are none. */
export class ValueError extends Error {
  override name = 'ValueError'
}

/** The sandbox or the session was stopped, or the child would not start. */
export class SandboxUnavailableError extends Error {
  override name = 'SandboxUnavailableError'
}
