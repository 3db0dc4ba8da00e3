import type { Lockers } from '../../host/index.ts'
import { createAttempts } from './attempts.ts'
import type { Accounts } from './contract.ts'
import { createDevices } from './devices.ts'
import type { Endings } from './endings.ts'
import type { Passwords } from './passwords.ts'
import { createPeople } from './people.ts'
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
  now: () => number
}

/** The people of a node. There is none until its owner makes or invites one. */
export function createAccounts(init: AccountsInit): (components: AccountsComponents) => Accounts {
  return ({ passwords, endings, lockers, now }) => {
    const store = openStore(init.file)
    const sessions = createSessions(store, endings, now)
    const attempts = createAttempts(now)
    const devices = createDevices(store.deviceKey)
    return {
      ...createPeople({ store, sessions }, { ...init, now }),
      ...createSignIn({ store, sessions, passwords, attempts, devices, lockers, ended: endings.signal, now }),
      find: sessions.find,
      holds: sessions.holds,
      close: store.close
    }
  }
}
