import type { Entries } from '../../host/index.ts'
import type { ImportLine } from './import-list.ts'
import type { Role } from './roles.ts'

/** A person as others see him. Times in ms since 1970. */
export interface Account {
  id: string
  name: string
  role: string
  created: number
  isDisabled: boolean
  /** false until the invitation was accepted */
  hasPassword: boolean
  hasSecondFactor: boolean
}

/** Where somebody is signed in. */
export interface Session {
  id: string
  account: string
  name: string
  created: number
  used: number
  /** when it ends if nobody uses it */
  expires: number
  address: string
  agent: string
}

export interface Invitation {
  id: string
  role: string
  /** absent: who accepts it chooses */
  name?: string
  created: number
  expires: number
}

/** The only answer that holds the code. */
export interface NewInvitation extends Invitation {
  code: string
}

/** Who asks, as tokens have it, with the person behind it. */
export interface AccountGrant {
  id: string
  scopes: readonly string[]
  expires: number
  account: Pick<Account, 'id' | 'name' | 'role'>
}

/** From where. */
export interface Origin {
  address: string
  agent: string
}

export interface SignIn {
  name: string
  password: string
  /** of the second factor */
  code?: string
  /** the mark of a browser that signed in before */
  device?: string
}

export interface SignedIn {
  /** the bearer */
  token: string
  session: Session
  account: Account
  device: string
}

export interface SecondFactor {
  /** base32, for who types it */
  secret: string
  /** otpauth://, for a QR code */
  uri: string
}

export interface ImportResult {
  lines: ImportLine[]
  /** whether it was done; false for a preview and where a line is wrong */
  isDone: boolean
  /** for each new person the link by which he chooses his password */
  invitations: NewInvitation[]
}

export interface Accounts {
  /** `peer`: the node that carries the session; a session that one carries is none for anybody else, nor over HTTP */
  find(text: string, peer?: string): AccountGrant | undefined
  /** how those who may come in prove who they are */
  standing: Entries['accounts']
  /** whether a session that was found before still counts */
  holds(id: string): boolean

  /**
   * @throws {SignInError} name, password or code are wrong
   * @throws {FirstPasswordError} it is the first one; `accept` takes it as code, with the name, and another password
   * @throws {SecondFactorError} the code is missing
   * @throws {AttemptsError} too many failed before
   */
  signIn(init: SignIn, origin: Origin): Promise<SignedIn>
  /** Accepts an invitation: sets the password, and signs in. */
  accept(init: { code: string; name?: string; password: string }, origin: Origin): Promise<SignedIn>

  list(): Account[]
  get(id: string): Account
  /** whether there is one of this name */
  has(name: string): boolean
  /** Makes an account without a password; the invitation lets its person choose one. */
  create(init: { name: string; role: string }): NewInvitation
  /**
   * Makes an account where there is none, and the role where there is none. The code is its first password, good once, with
   * the name, to choose another; undefined: the account has a password, is disabled, or has another role.
   */
  giveFirstPassword(name: string, role: Role): NewInvitation | undefined
  invite(init: { role: string }): NewInvitation
  invitations(): Invitation[]
  /** the invitation of a code; throws NotFoundError */
  look(code: string): Invitation
  withdraw(id: string): void
  /** A link by which the person chooses a new password; the old one and all sessions end now. */
  reset(id: string): NewInvitation
  /** Sets a role or disables; ends the sessions. */
  change(id: string, patch: { role?: string; isDisabled?: boolean }): Account
  remove(id: string): void
  importList(text: string, init: { role: string; isPreview: boolean }): ImportResult

  roles(): Role[]
  setRole(role: Role): Role
  removeRole(name: string): void

  /** of one person, or all; newest use first */
  sessions(account?: string): Session[]
  endSession(id: string): void
  endSessions(account: string): number

  changePassword(grant: AccountGrant, init: { current: string; password: string }): Promise<void>
  enrolSecondFactor(grant: AccountGrant): SecondFactor
  confirmSecondFactor(grant: AccountGrant, code: string): void
  removeOwnSecondFactor(grant: AccountGrant, code: string): void
  /** For who lost the telephone. */
  removeSecondFactor(id: string): void

  close(): void
}
