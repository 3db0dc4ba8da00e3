import type { People } from '../../host/index.ts'
import type { Accounts } from './contract.ts'
import type { Endings } from './endings.ts'
import { addressOf } from './sessions.ts'

/** The people of this node, for a service that they have something of. */
export function peopleElsewhere(accounts: Accounts, endings: Pick<Endings, 'signal'>): People {
  return {
    async signIn({ agent, ...init }, peer) {
      const { token, session, device, account } = await accounts.signIn(init, {
        address: addressOf(peer),
        agent
      })
      return { token, expires: session.expires, device, account }
    },
    find: accounts.find,
    ended: endings.signal,
    signOut: accounts.endSession,
    names: () => accounts.list().map(({ name }) => name),
    giveFirstPassword: accounts.giveFirstPassword
  }
}
