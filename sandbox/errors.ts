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
  /** keys from the value to what has no encoding */
  readonly path: readonly string[]
  readonly reason: string

  constructor(reason: string, { path = [], cause }: { path?: readonly string[]; cause?: unknown } = {}) {
    super(path.length === 0 ? reason : `${nameOf(path)}: ${reason}`, { cause })
    this.path = path
    this.reason = reason
  }
}

const NAME_CHARS = 200 // of the way to a value that is wrong

/** The way to a value, as people write it. */
export const nameOf = (path: readonly string[]): string => path.join('.').slice(0, NAME_CHARS)

/** The sandbox or the session was stopped, or the child would not start. */
export class SandboxUnavailableError extends Error {
  override name = 'SandboxUnavailableError'
}
