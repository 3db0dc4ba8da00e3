import type { Caller } from '../host/index.ts'

/** A message that names the person of this device as `@login` or `@Name`. */
export interface Mention {
  /** of those that came here; later ones have greater numbers */
  place: number
  id: string
  chat: string
  /** ms since 1970, as its author says */
  at: number
  by: { id: string; name: string }
  /** without the name */
  text: string
}

/** What other services of this node do with its chats. */
export interface Chats {
  /**
   * Mentions by others that came after a place, in the order in which they came: those among the next messages, and the place
   * up to which was looked. Places are of this disk, so who begins gives 0, and none is told that is older than `sinceMs`.
   * Synchronous, and cheap where nothing is new.
   */
  mentions(after: number, sinceMs: number): { items: Mention[]; next: number }
  /** Whether this device has replied to a message. The chat says so, on whatever disk it is. */
  hasReplied(message: Pick<Mention, 'id' | 'chat' | 'at'>): boolean
  /** Why somebody may not have them write as this device; undefined: he may. */
  refusal(caller: Caller): string | undefined
  /**
   * Writes to a chat of this device; what is too long for one message is several. It is on this disk when this returns, and
   * the same key writes the same once, however often it is asked for.
   *
   * @param reply the id of the message that is answered
   * @throws {PolicyError} {UnknownChatError} {SchoolError} {NoMajorityError}
   */
  write(chat: string, text: string, key: string, reply?: string): Promise<void>
}
