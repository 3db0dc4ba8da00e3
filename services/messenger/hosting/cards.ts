import { type Capabilities, ServiceDownError } from '../../host/index.ts'
import { loginOf } from '../people/acting.ts'

/** Of accounts that come with a home: what a person needs for his chats, and nothing of the node. */
const ROLE = { name: 'messenger', scopes: ['messenger:write'] }

/** What a person without a computer begins with, on paper. */
export interface Card {
  /** his login, and the name of his account */
  user: string
  name: string
  /** good once: with it he chooses his own, which nobody else ever knew */
  password: string
  /** ms since 1970 */
  expires: number
  /** where he signs in */
  address?: string
}

/** Accounts of people whose home this node is. `people`: undefined while the node has no accounts. */
export function createCards(people: () => Capabilities['people'] | undefined) {
  function accounts(): Capabilities['people'] {
    const open = people()
    if (open == null)
      throw new ServiceDownError(
        'this node has no accounts, so nobody could sign in: set gateway.enabled, and start it again'
      )
    return open
  }
  return {
    /** @throws {ServiceDownError} there are no accounts here */
    check: (): void => void accounts(),
    /** For those of them who have no password here yet. */
    of(persons: readonly { id: string; name: string }[], address: string | undefined): Card[] {
      const { names, giveFirstPassword } = accounts()
      // one whose name makes his login, `Anna Petrova`, needs no other account
      const others = new Set(
        names()
          .filter(name => name.toLowerCase() !== loginOf(name))
          .map(loginOf)
      )
      return persons.flatMap(({ id, name }) => {
        if (others.has(id.toLowerCase())) return []
        const given = giveFirstPassword(id, ROLE)
        if (given == null) return []
        const card = { user: id, name, password: given.code, expires: given.expires }
        return [address == null ? card : { ...card, address }]
      })
    }
  }
}
