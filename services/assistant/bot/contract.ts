/** A message of somebody to the bot. */
export interface Update {
  /** of the messenger, growing */
  id: number
  chat: string
  /** whose quota it is */
  user: string
  /** who wrote, as he calls himself */
  name: string
  /** empty: there is nothing to answer */
  text: string
  /** what is replied to, where the messenger shows that */
  message?: Message
}

export interface Message {
  id: string
  chat: string
  at: number
}

/** A messenger, as a bot sees it. Waits as the messenger tells it to, and tries again what it did not take. */
export interface BotPort {
  /** those from `offset` on; what is below it never comes again. Waits up to `waitMs` for one. */
  updates(offset: number, waitMs: number, signal: AbortSignal): Promise<Update[]>
  /** the id of the message */
  send(chat: string, text: string, signal: AbortSignal, message?: Message): Promise<number>
  /** whether the messenger knows an answer to it already */
  hasReplied?(message: Message): boolean
  /** without it an answer is sent when it is whole */
  edit?(chat: string, message: number, text: string, signal: AbortSignal): Promise<void>
  /** Who may write there is admitted by others: its people are known. Else the owner of the bot admits each chat. */
  isOpen: boolean
  /** characters (UTF-16) that a message has at most */
  maxChars: number
  close(): Promise<void>
}
