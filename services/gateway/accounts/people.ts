import { ConflictError, NotFoundError, RequestError } from '../errors.ts'
import type { Accounts, Invitation, NewInvitation } from './contract.ts'
import { FIRST_PASSWORD_MS, INVITATION_MS } from './expiry.ts'
import { planImport } from './import-list.ts'
import { checkName, nameKey } from './names.ts'
import { ADMIN_ROLE, checkRole } from './roles.ts'
import { hashOf, newFirstPassword, newId, newSecret } from './secrets.ts'
import type { Sessions } from './sessions.ts'
import { findInvitation, firstIdOf, type SignIns, shown } from './sign-in.ts'
import type { Store, StoredAccount, StoredInvitation } from './store.ts'
import { newTotpSecret, totpUri } from './totp.ts'

/** A large school. */
const MAX_ACCOUNTS = 20_000
const MAX_ROLES = 100
const INVITATION_MARK = 'i'

type People = Omit<Accounts, 'find' | 'holds' | 'standing' | 'close' | keyof SignIns>

/** What the owner does with the accounts of others, and a person with his own. */
export function createPeople(
  { store, sessions }: { store: Store; sessions: Sessions },
  { scopes, issuer, now }: { scopes: readonly string[]; issuer: string; now: () => number }
): People {
  function existing(id: string): StoredAccount {
    const account = store.account(id) ?? store.accountByKey(nameKey(id))
    if (account == null) throw new NotFoundError(`there is no account ${id.slice(0, 64)}`)
    return account
  }

  function checkRoleExists(role: string): void {
    if (store.role(role) == null)
      throw new RequestError(
        `there is no role ${role.slice(0, 50)}; there are ${store
          .roles()
          .map(({ name }) => name)
          .join(', ')}`
      )
  }

  function add(name: string, role: string): StoredAccount {
    if (store.countAccounts()!.n >= MAX_ACCOUNTS)
      throw new RequestError(`there are ${MAX_ACCOUNTS} accounts already; remove those who left`)
    const account = { id: newId(), key: nameKey(name), name, role, created: now() }
    store.addAccount(account)
    return store.account(account.id)!
  }

  /** A new link makes older ones for the same person worthless. */
  function write(role: string, account: StoredAccount | undefined): NewInvitation {
    store.sweepInvitations(now())
    if (account != null) store.removeInvitationsOf(account.id)
    const id = `${INVITATION_MARK}${newId()}`
    return keep(id, newSecret(id), role, account, INVITATION_MS)
  }

  function keep(
    id: string,
    code: string,
    role: string,
    account: StoredAccount | undefined,
    livesMs: number
  ): NewInvitation {
    const kept = {
      id,
      hash: hashOf(code),
      account: account?.id ?? null,
      role,
      created: now(),
      expires: now() + livesMs
    }
    store.addInvitation(kept)
    return { ...view(kept), code }
  }

  function view({ id, account, role, created, expires }: StoredInvitation): Invitation {
    return { id, role, created, expires, ...(account == null ? {} : { name: store.account(account)!.name }) }
  }

  return {
    list: () => store.accounts().map(shown),
    get: id => shown(existing(id)),
    has: name => store.accountByKey(nameKey(name)) != null,
    create({ name: text, role }) {
      const name = checkName(text)
      checkRoleExists(role)
      return store.atOnce(() => {
        if (store.accountByKey(nameKey(name)) != null)
          throw new ConflictError(`there is an account ${name} already; choose another name`)
        return write(role, add(name, role))
      })
    },
    giveFirstPassword(name, role) {
      checkRole(role, scopes)
      return store.atOnce(() => {
        if (store.role(role.name) == null) store.setRole(role)
        const account = store.accountByKey(nameKey(name)) ?? add(checkName(name), role.name)
        // what others made, or somebody has begun to use, is not touched
        if (account.password != null || account.disabled !== 0 || account.role !== role.name) return undefined
        store.removeInvitationsOf(account.id)
        return keep(firstIdOf(account.id), newFirstPassword(), role.name, account, FIRST_PASSWORD_MS)
      })
    },
    invite({ role }) {
      checkRoleExists(role)
      return write(role, undefined)
    },
    invitations: () =>
      store
        .invitations()
        .filter(({ expires }) => expires > now())
        .map(view),
    look: code => view(findInvitation(store, code, now())),
    withdraw(id) {
      if (store.removeInvitation(id) === 0)
        throw new NotFoundError(`there is no invitation ${id.slice(0, 64)}`)
    },
    reset(id) {
      const account = existing(id)
      store.patchAccount(account.id, { password: null })
      sessions.endAll(account.id)
      return write(account.role, account)
    },
    change(id, { role, isDisabled }) {
      const account = existing(id)
      if (role != null) checkRoleExists(role)
      store.patchAccount(account.id, {
        role: role ?? account.role,
        disabled: Number(isDisabled ?? account.disabled)
      })
      sessions.endAll(account.id)
      if (isDisabled) store.removeInvitationsOf(account.id)
      return shown(store.account(account.id)!)
    },
    remove(id) {
      const account = existing(id)
      sessions.endAll(account.id)
      store.removeAccount(account.id)
    },
    importList(text, { role, isPreview }) {
      checkRoleExists(role)
      const lines = planImport(text, {
        roles: store.roles().map(({ name }) => name),
        defaultRole: role,
        roleOf: key => store.accountByKey(key)?.role
      })
      if (isPreview || lines.some(({ action }) => action === 'wrong'))
        return { lines, isDone: false, invitations: [] }
      const changed: string[] = []
      const invitations = store.atOnce(() =>
        lines.flatMap(({ name, role, action }) => {
          if (action === 'create') return [write(role, add(name, role))]
          const { id } = store.accountByKey(nameKey(name))!
          if (action === 'change') {
            store.patchAccount(id, { role })
            changed.push(id)
          }
          return []
        })
      )
      for (const id of changed) sessions.endAll(id)
      return { lines, isDone: true, invitations }
    },

    roles: () => store.roles(),
    setRole(role) {
      checkRole(role, scopes)
      if (store.role(role.name) == null && store.roles().length >= MAX_ROLES)
        throw new RequestError(`there are ${MAX_ROLES} roles already`)
      store.setRole(role)
      for (const account of store.accounts()) if (account.role === role.name) sessions.endAll(account.id)
      return role
    },
    removeRole(name) {
      if (name === ADMIN_ROLE) throw new RequestError(`the role ${ADMIN_ROLE} stays`)
      const holder = store.accounts().find(({ role }) => role === name)
      if (holder != null)
        throw new ConflictError(`${holder.name} has the role ${name}; give another role first`)
      if (store.removeRole(name) === 0) throw new NotFoundError(`there is no role ${name.slice(0, 50)}`)
    },

    sessions: account => sessions.list(account),
    endSession(id) {
      if (!sessions.end(id)) throw new NotFoundError(`there is no session ${id.slice(0, 64)}`)
    },
    endSessions: account => sessions.endAll(existing(account).id),

    enrolSecondFactor({ account: { id, name } }) {
      if (existing(id).totp != null)
        throw new ConflictError('there is a second factor already; remove it first, with its code')
      const secret = newTotpSecret()
      store.patchAccount(id, { enrolling: secret })
      return { secret, uri: totpUri(secret, name, issuer) }
    },
    removeSecondFactor: id => store.patchAccount(existing(id).id, { totp: null, enrolling: null })
  }
}
