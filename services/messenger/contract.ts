import type { Caller } from '../host/index.ts'

/** What other services of this node do with its chats. */
export interface Chats {
  /** Why somebody may not have them write as this device; undefined: he may. */
  refusal(caller: Caller): string | undefined
  /**
   * Writes to a chat of this device; what is too long for one message is several. It is on this disk when this returns, and
   * the same key writes the same once, however often it is asked for.
   *
   * @throws {PolicyError} {UnknownChatError} {SchoolError} {NoMajorityError}
   */
  write(chat: string, text: string, key: string): Promise<void>
}
