/** What `artel` exits with. 0 is success, 130 an interrupt. Documented in node/README.md; a test compares. */
export const EXIT = {
  internal: 1,
  usage: 2,
  machine: 3,
  network: 4,
  job: 5,
  cancelled: 6,
  credits: 7,
  interrupted: 130
} as const

/** What the outside sees of an error: exit code of the command line, HTTP status of the gateway. */
export interface Verdict {
  exit: (typeof EXIT)[keyof typeof EXIT]
  status: number
}

export type Verdicts = Readonly<Record<string, Verdict>>

/** The usual ones, to choose from. */
export const USAGE: Verdict = { exit: EXIT.usage, status: 400 }
export const NOT_FOUND: Verdict = { exit: EXIT.usage, status: 404 }
export const CONFLICT: Verdict = { exit: EXIT.usage, status: 409 }
export const FORBIDDEN: Verdict = { exit: EXIT.usage, status: 403 }
export const MACHINE: Verdict = { exit: EXIT.machine, status: 500 }
export const FULL: Verdict = { exit: EXIT.machine, status: 507 }
export const NETWORK: Verdict = { exit: EXIT.network, status: 503 }
const OVERDUE: Verdict = { exit: EXIT.cancelled, status: 504 }

/** What the host itself throws. */
export const HOST_VERDICTS: Verdicts = {
  DeclarationError: { exit: EXIT.internal, status: 500 },
  ForbiddenError: FORBIDDEN,
  UnauthorizedError: { exit: EXIT.usage, status: 401 },
  ConflictError: CONFLICT,
  RequestError: USAGE,
  UnknownOperationError: NOT_FOUND,
  ServiceDownError: NETWORK,
  ServiceOffError: CONFLICT,
  OverdueError: OVERDUE,
  MigrationError: MACHINE,
  DocumentError: USAGE,
  ReleaseError: CONFLICT,
  OnTrialError: NETWORK,
  UnreachableError: NETWORK
}
