import { type account, SCOPES, type token } from '../../access/index.ts'
import type { Handlers } from '../../host/index.ts'
import type { Accounts } from '../accounts/index.ts'
import { NotFoundError } from '../errors.ts'
import type { Tokens } from '../http/tokens.ts'

/** What the owner does with the people of his node. */
export function answerAccounts(accounts: Accounts): Handlers<(typeof account)['operations']> {
  return {
    list: () => ({ items: accounts.list() }),
    add: init => accounts.create(init),
    setRole: ({ id, role }) => accounts.change(id, { role }),
    disable: ({ id }) => accounts.change(id, { isDisabled: true }),
    enable: ({ id }) => accounts.change(id, { isDisabled: false }),
    remove: ({ id }) => accounts.remove(id),
    reset: ({ id }) => accounts.reset(id),
    removeSecondFactor: ({ id }) => accounts.removeSecondFactor(id),
    import: ({ list, ...init }) => accounts.importList(list, init),
    sessions: ({ account }) => ({ items: accounts.sessions(account) }),
    endSession: ({ id }) => accounts.endSession(id),
    invitations: () => ({ items: accounts.invitations() }),
    invite: init => accounts.invite(init),
    withdraw: ({ id }) => accounts.withdraw(id),
    roles: () => ({
      items: accounts.roles().map(({ name, scopes }) => ({ name, scopes: [...scopes] })),
      scopes: SCOPES.filter(scope => scope !== 'admin')
    }),
    changeRole(role) {
      accounts.setRole(role)
      return role
    },
    removeRole: ({ name }) => accounts.removeRole(name)
  }
}

/** What the owner does with the tokens of programs. */
export function answerTokens(tokens: Tokens): Handlers<(typeof token)['operations']> {
  return {
    list: () => ({ items: tokens.list() }),
    add: body => tokens.add(body),
    async remove({ id }) {
      if (!(await tokens.remove(id))) throw new NotFoundError(`there is no token ${id}`)
    }
  }
}
