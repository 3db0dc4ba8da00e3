/** Bytes that are no statement, event, generation or envelope, or go beyond a limit. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError'
}

/** Somebody stated, wrote or changed what the roster or a policy does not let him. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError'
}

/** An event that does not follow from the ones before it: another was signed with its number, or its time is out of bounds. */
export class BrokenChainError extends Error {
  override readonly name = 'BrokenChainError'
}

/** This node belongs to no school yet, or belongs to one already. */
export class SchoolError extends Error {
  override readonly name = 'SchoolError'
}

/** No such person, chat, message or file here. */
export class UnknownChatError extends Error {
  override readonly name = 'UnknownChatError'
}

/** Too few mailboxes answer to decide anything; messages still travel. */
export class NoMajorityError extends Error {
  override readonly name = 'NoMajorityError'
}

/** No mailbox has room for what was brought. */
export class MailboxFullError extends Error {
  override readonly name = 'MailboxFullError'
}

/** A path on this machine that cannot be read or written as asked. */
export class FilePathError extends Error {
  override readonly name = 'FilePathError'
}

/** What this person has here is sealed, and his password does not open it. */
export class LockedError extends Error {
  override readonly name = 'LockedError'
}

/** More than one person writes or asks in a minute. */
export class TooManyMessagesError extends Error {
  override readonly name = 'TooManyMessagesError'
  /** seconds */
  readonly retryAfter: number

  constructor(message: string, retryAfter: number) {
    super(message)
    this.retryAfter = retryAfter
  }
}

/** There is no such backup, or it is damaged. */
export class BackupError extends Error {
  override readonly name = 'BackupError'
}
