import type { AtHome, Grant, Homes } from '../../host/index.ts'
import { createAttempts, networkOf } from './attempts.ts'
import type { Account, Origin, Session, SignedIn, SignIn } from './contract.ts'
import type { Endings } from './endings.ts'
import { AttemptsError } from './errors.ts'
import { endOf, SESSION_MS } from './expiry.ts'
import { hashOf, idOf, isSecret, newId, newSecret } from './secrets.ts'
import { MAX_AGENT_CHARS, MAX_SESSIONS } from './sessions.ts'

/** tells visitors from sessions and tokens */
export const VISIT_MARK = 'v'
/** The one who did nothing for longest makes room. */
const MAX_VISITS = 1_000

interface Visit {
  hash: string
  home: AtHome
  scopes: readonly string[]
  account: Account
  session: Session
}

export interface Visitors {
  /** the home that a name means, and the name there */
  homeOf(name: string): { name: string; peer: string } | undefined
  /** @throws {AttemptsError} too many failed before; what the home throws */
  signIn(init: SignIn, peer: string, origin: Origin): Promise<SignedIn>
  find(text: string): Grant | undefined
  holds(id: string): boolean
  account(id: string): Account
  /** Ends it here, and at home where that answers. */
  signOut(id: string): Promise<void>
}

/**
 * People who sit here and have their account at another node: in memory, with the token that their home gave for this
 * node alone. They use nothing of this one.
 */
export function createVisitors({
  homes,
  isAccount,
  endings,
  now
}: {
  homes(): Homes | undefined
  /** whether a name is one of an account here */
  isAccount(name: string): boolean
  endings: Pick<Endings, 'end'>
  now(): number
}): Visitors {
  // in the order of their last use
  const visits = new Map<string, Visit>()
  const attempts = createAttempts(now)
  const isOver = ({ session }: Visit): boolean => endOf(session) <= now()

  function end(id: string): void {
    visits.delete(id)
    endings.end(id)
  }

  function make(
    { token, expires, scopes, account }: Awaited<ReturnType<Homes['signIn']>>,
    peer: string,
    origin: Origin
  ) {
    for (const [id, visit] of visits) if (isOver(visit) || visits.size >= MAX_VISITS) end(id)
    // a home that lets in whoever comes takes no room of others
    const ofHome = [...visits].filter(([, { home }]) => home.peer === peer).toReversed()
    for (const [id] of ofHome.slice(MAX_SESSIONS - 1)) end(id)
    const id = `${VISIT_MARK}${newId()}`
    const own = newSecret(id)
    const visit = {
      hash: hashOf(own),
      home: { peer, token },
      scopes,
      account: { ...account, isDisabled: false, hasPassword: true },
      session: {
        id,
        account: account.id,
        name: account.name,
        created: now(),
        used: now(),
        expires: Math.min(expires, now() + SESSION_MS),
        ...origin
      }
    }
    visits.set(id, visit)
    return { token: own, session: { ...visit.session }, account: visit.account }
  }

  return {
    // a password of an account here goes nowhere
    homeOf: name => (isAccount(name) ? undefined : homes()?.of(name)),
    async signIn(person, peer, { address, agent }) {
      const origin = { address, agent: agent.slice(0, MAX_AGENT_CHARS) }
      // the home counts by name, and knows the browsers that need not wait for others
      const attempt = attempts.enter([`address ${networkOf(origin.address)}`])
      if ('waitMs' in attempt) throw new AttemptsError(attempt.waitMs)
      try {
        const entered = await homes()!.signIn({ ...person, agent: origin.agent }, peer)
        attempt.succeeded()
        return { ...make(entered, peer, origin), device: entered.device }
      } catch (error) {
        if ((error as Error).name !== 'SignInError') attempt.undo()
        throw error
      }
    },
    find(text) {
      const id = idOf(text) ?? ''
      const visit = visits.get(id)
      if (!isSecret(text, visit?.hash) || visit == null || isOver(visit)) return undefined
      visit.session.used = now()
      visits.delete(id)
      visits.set(id, visit)
      const { home, scopes, session, account } = visit
      return {
        id,
        scopes,
        expires: session.expires,
        // what counts by account never meets one of here
        account: { id: `${account.id} ${home.peer}`, name: account.name, role: account.role },
        home
      }
    },
    holds(id) {
      const visit = visits.get(id)
      return visit != null && !isOver(visit)
    },
    account: id => visits.get(id)!.account,
    async signOut(id) {
      const { home } = visits.get(id)!
      visits.delete(id)
      try {
        await homes()?.signOut(home)
      } finally {
        // what is still being answered is cut with it
        end(id)
      }
    }
  }
}
