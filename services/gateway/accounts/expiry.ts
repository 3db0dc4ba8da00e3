/** A session that nobody used for so long is over: the computer of a school is used by many. */
export const IDLE_MS = 12 * 3_600_000
/** Then a password is asked for again, however busy the session is. */
export const SESSION_MS = 30 * 86_400_000
/** A link that lies in a mailbox is found some day. */
export const INVITATION_MS = 7 * 86_400_000
/** One on paper is handed out some day, and lies in a drawer. */
export const FIRST_PASSWORD_MS = 30 * 86_400_000
/** Uses of a session are written down this often. */
export const NOTED_MS = 60_000

export interface Dated {
  /** last use, ms since 1970 */
  used: number
  /** in any case, ms since 1970 */
  expires: number
}

/** When a session ends if nobody uses it, ms since 1970. Pure. */
export function endOf({ used, expires }: Dated): number {
  return Math.min(expires, used + IDLE_MS)
}
