import type { Lockers } from '../../host/index.ts'
import { createAttempts } from './attempts.ts'
import type { Accounts } from './contract.ts'
import { createDevices } from './devices.ts'
import type { Endings } from './endings.ts'
import { SignInError } from './errors.ts'
import { nameKey } from './names.ts'
import type { Passwords } from './passwords.ts'
import { createPeople } from './people.ts'
import { ADMIN_ROLE } from './roles.ts'
import { createSessions } from './sessions.ts'
import { createSignIn } from './sign-in.ts'
import { openStore } from './store.ts'

export interface AccountsInit {
  /** SQLite, made with mode 0600 */
  file: string
  /** scopes that a role may have */
  scopes: readonly string[]
  /** what an authenticator app shows beside the name */
  issuer: string
}

export interface AccountsComponents {
  passwords: Passwords
  /** told of every session that ends */
  endings: Pick<Endings, 'end' | 'signal'>
  /** what passwords open, where a service has something sealed */
  lockers(): Lockers | undefined
  /** Somebody did not prove who he says he is; `account`: there is one of that name. */
  failed(address: string, account: string | undefined): void
  now: () => number
}

/** The people of a node. There is none until its owner makes or invites one. */
export function createAccounts(init: AccountsInit): (components: AccountsComponents) => Accounts {
  return ({ passwords, endings, lockers, failed, now }) => {
    const store = openStore(init.file)
    const sessions = createSessions(store, endings, now)
    const attempts = createAttempts(now)
    const devices = createDevices(store.deviceKey)
    const ended = endings.signal
    const signIns = createSignIn({ store, sessions, passwords, attempts, devices, lockers, ended, now })
    return {
      ...createPeople({ store, sessions }, { ...init, now }),
      ...signIns,
      async signIn(attempt, origin) {
        try {
          return await signIns.signIn(attempt, origin)
        } catch (error) {
          if (error instanceof SignInError)
            failed(origin.address, store.accountByKey(nameKey(attempt.name))?.name)
          throw error
        }
      },
      standing() {
        const all = store.accounts().filter(({ disabled }) => disabled === 0)
        const withPassword = all.filter(({ password }) => password != null)
        return {
          count: all.length,
          adminsByPassword: withPassword
            .filter(({ role, totp }) => role === ADMIN_ROLE && totp == null)
            .map(({ name }) => name),
          outdated: withPassword.filter(({ password }) => passwords.isOld(password!)).length
        }
      },
      find: sessions.find,
      holds: sessions.holds,
      close: store.close
    }
  }
}
