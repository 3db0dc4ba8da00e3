import type { KeyOf, Lockers } from '../../host/index.ts'
import { ConflictError, NotFoundError } from '../errors.ts'
import { type Attempt, type Attempts, type Key, keysOf } from './attempts.ts'
import type { Account, AccountGrant, Accounts, Origin, SignedIn } from './contract.ts'
import type { createDevices } from './devices.ts'
import { AttemptsError, FirstPasswordError, SecondFactorError, SignInError } from './errors.ts'
import { checkName, nameKey } from './names.ts'
import { checkPassword, MAX_PASSWORD_CHARS } from './password-rules.ts'
import type { Passwords } from './passwords.ts'
import { hashOf, idOf, isSecret, newId, tidyFirstPassword } from './secrets.ts'
import type { Sessions } from './sessions.ts'
import type { Store, StoredAccount, StoredInvitation } from './store.ts'
import { checkTotp } from './totp.ts'

interface Components {
  store: Store
  sessions: Sessions
  passwords: Passwords
  attempts: Attempts
  devices: ReturnType<typeof createDevices>
  lockers: () => Lockers | undefined
  ended: (session: string) => AbortSignal
  now: () => number
}

export type SignIns = Pick<
  Accounts,
  'signIn' | 'accept' | 'changePassword' | 'confirmSecondFactor' | 'removeOwnSecondFactor'
>

/** What a person proves: a password, a code, an invitation. Whatever fails, fails alike and after the same time. */
export function createSignIn(components: Components): SignIns {
  const { store, sessions, passwords, attempts, devices, lockers, now } = components

  const keyOf =
    (password: string): KeyOf =>
    salt =>
      passwords.key(password.slice(0, MAX_PASSWORD_CHARS), salt, 'known')

  function enter(keys: Key[]): Attempt {
    const attempt = attempts.enter(keys)
    if ('waitMs' in attempt) throw new AttemptsError(attempt.waitMs)
    return attempt
  }

  /** What was proved may have been taken back by the owner, while something else was calculated. */
  function checkStill(id: string, kept: string | null): void {
    const account = store.account(id)
    if (account == null || account.disabled !== 0 || account.password !== kept)
      throw new SignInError('this password was changed or taken back meanwhile; sign in again')
  }

  /** Takes a code once. */
  function takeCode({ id, totp_step }: StoredAccount, secret: string, code: string): void {
    const step = checkTotp(secret, code, now(), totp_step)
    if (step == null)
      throw new SignInError(
        'name, password or code are wrong; each code is good for one time and half a minute, by a clock that is right'
      )
    store.patchAccount(id, { totp_step: step })
  }

  async function open(account: StoredAccount, password: string, origin: Origin): Promise<SignedIn> {
    const opened = sessions.open(account, origin)
    const { id } = opened.session
    await lockers()?.opened({ id, account: account.name, ended: components.ended(id) }, keyOf(password))
    return {
      ...opened,
      account: shown(account),
      device: devices.mark(marked(account))
    }
  }

  return {
    async signIn({ name, password, code, device }, origin) {
      const key = nameKey(name)
      const found = store.accountByKey(key)
      const known = found != null && device != null ? devices.check(marked(found), device) : undefined
      const attempt = enter(keysOf({ name: hashOf(key), address: origin.address, device: known }))
      const kept = found == null || found.disabled ? null : found.password
      const isRight = await passwords
        .verify(
          password.slice(0, MAX_PASSWORD_CHARS),
          kept ?? undefined,
          known == null ? 'stranger' : 'known'
        )
        .catch(err => {
          attempt.undo()
          throw err
        })
      // it may have been changed meanwhile
      const account = store.account(found?.id ?? '')
      if (account?.password == null && firstOf(store, name, password, now()) != null) {
        attempt.succeeded()
        throw new FirstPasswordError(
          'this is your first password, which is good once: choose your own; it is what opens your chats'
        )
      }
      if (!isRight || account == null || account.disabled || account.password !== kept)
        throw new SignInError(
          'name, password or code are wrong; the owner of the node can give a new password'
        )
      if (account.totp != null) {
        // stays counted until the code comes: who knows a password must not try it for ever
        if (code == null)
          throw new SecondFactorError('the code of the second factor is missing; send it as code')
        takeCode(account, account.totp, code)
      }
      attempt.succeeded()
      if (passwords.isOld(account.password!)) {
        const hashed = await passwords.hash(password, 'known')
        checkStill(account.id, kept)
        store.patchAccount(account.id, { password: hashed })
      }
      return open(store.account(account.id)!, password, origin)
    },

    async accept({ code, name, password }, origin) {
      const find = () => firstOf(store, name ?? '', code, now()) ?? findInvitation(store, code, now())
      const { account: invited } = find()
      const own = invited == null ? checkName(name ?? '') : store.account(invited)!.name
      await checkPassword(password, own)
      const hashed = await passwords.hash(password, 'stranger')
      const account = store.atOnce(() => {
        // somebody else may have been quicker
        const { id, account: invited, role } = find()
        store.removeInvitation(id)
        if (invited == null && store.accountByKey(nameKey(own)) != null)
          throw new ConflictError(`there is an account ${own} already; choose another name`)
        const to = invited ?? newId()
        if (invited == null) store.addAccount({ id: to, key: nameKey(own), name: own, role, created: now() })
        store.patchAccount(to, { password: hashed })
        return store.account(to)!
      })
      sessions.endAll(account.id)
      return open(account, password, origin)
    },

    async changePassword(grant, { current, password }) {
      const { id, name, password: kept } = ownOf(grant)
      const attempt = enter([`own ${id}`])
      if (!(await passwords.verify(current.slice(0, MAX_PASSWORD_CHARS), kept ?? undefined, 'known')))
        throw new SignInError('the present password is wrong')
      attempt.succeeded()
      await checkPassword(password, name)
      const hashed = await passwords.hash(password, 'known')
      const changed = await lockers()?.changing(
        { id: grant.id, account: name },
        keyOf(current),
        keyOf(password)
      )
      checkStill(id, kept)
      store.patchAccount(id, { password: hashed })
      await changed?.()
      for (const session of store.sessionsOf(id)) if (session.id !== grant.id) sessions.end(session.id)
    },

    confirmSecondFactor(grant, code) {
      const account = ownOf(grant)
      if (account.enrolling == null)
        throw new ConflictError('no second factor waits for a code; begin with enrol')
      const attempt = enter([`own ${account.id}`])
      takeCode(account, account.enrolling, code)
      attempt.succeeded()
      store.patchAccount(account.id, { totp: account.enrolling, enrolling: null })
    },

    removeOwnSecondFactor(grant, code) {
      const account = ownOf(grant)
      if (account.totp == null) throw new ConflictError('there is no second factor')
      const attempt = enter([`own ${account.id}`])
      takeCode(account, account.totp, code)
      attempt.succeeded()
      store.patchAccount(account.id, { totp: null })
    }
  }

  function ownOf({ account: { id } }: AccountGrant): StoredAccount {
    return store.account(id)!
  }
}

/** The id of the invitation to an account whose code is a first password, and only one. */
export const firstIdOf = (account: string): string => `f${account}`

/** That of a name, where `text` is its first password. */
function firstOf(store: Store, name: string, text: string, now: number): StoredInvitation | undefined {
  const account = store.accountByKey(nameKey(name))
  const kept = account == null ? undefined : store.invitation(firstIdOf(account.id))
  if (!isSecret(tidyFirstPassword(text), kept?.hash) || kept!.expires <= now) return undefined
  return account!.disabled === 0 ? kept : undefined
}

/** The invitation of a code. Throws NotFoundError. */
export function findInvitation(store: Store, code: string, now: number): StoredInvitation {
  const kept = store.invitation(idOf(code) ?? '')
  if (!isSecret(code, kept?.hash) || kept == null || kept.expires <= now)
    throw new NotFoundError('this invitation was used, has ended or is none; ask for another')
  return kept
}

const marked = ({ id, password }: StoredAccount) => ({ id, password: password ?? undefined })

export function shown(account: StoredAccount): Account {
  const { id, name, role, created, disabled, password, totp } = account
  return {
    id,
    name,
    role,
    created,
    isDisabled: disabled !== 0,
    hasPassword: password != null,
    hasSecondFactor: totp != null
  }
}
