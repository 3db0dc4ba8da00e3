import { setTimeout as delay } from 'node:timers/promises'
import type { AtHome, FoundHomes, Grant, Homes } from '../../host/index.ts'
import { type Attempt, createAttempts, type Key, networkOf } from './attempts.ts'
import type { Account, Accounts, Origin, Session, SignedIn, SignIn } from './contract.ts'
import type { Endings } from './endings.ts'
import { AttemptsError, SignInError } from './errors.ts'
import { endOf, SESSION_MS } from './expiry.ts'
import { nameKey } from './names.ts'
import { hashOf, idOf, isSecret, newId, newSecret } from './secrets.ts'
import { MAX_AGENT_CHARS, MAX_SESSIONS } from './sessions.ts'

/** tells visitors from sessions and tokens */
export const VISIT_MARK = 'v'
/**
 * Whoever cannot be let in hears it no sooner: a home that is away, one that is none, and one that says no are not told
 * apart by the time, or strangers would learn who is in the school, and whose computers are on.
 */
export const FAILURE_MS = 5_000
/** Errors of a home that has looked at the password. */
const JUDGED: readonly string[] = ['SignInError', 'SecondFactorError', 'AttemptsError']
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
  /** the homes that a name means; undefined: it is of this node */
  homesOf(name: string): FoundHomes | undefined
  /**
   * At the first of the homes that lets him in, this node among them.
   *
   * @throws {SignInError} whatever is the reason, said alike
   * @throws {SecondFactorError} the password is right
   * @throws {AttemptsError} too many failed before
   */
  signIn(init: SignIn, homes: FoundHomes, origin: Origin): Promise<SignedIn>
  find(text: string): Grant | undefined
  holds(id: string): boolean
  account(id: string): Account
  /** The home says that it is over. */
  end(id: string): void
  /** Ends it here, and at home where that answers. */
  signOut(id: string): Promise<void>
}

/** ms, as a home says it. Pure. */
const waitOf = (message: string): number => 1000 * Number(/ (\d{1,4}) s$/.exec(message)?.[1] ?? 1)

/**
 * People who sit here and have their account at another node: in memory, with the token that their home gave for this
 * node alone. They use nothing of this one.
 */
export function createVisitors({
  homes,
  accounts,
  endings,
  failureMs,
  now,
  log
}: {
  homes(): Homes | undefined
  accounts: Pick<Accounts, 'has' | 'signIn'>
  endings: Pick<Endings, 'end'>
  /** see FAILURE_MS */
  failureMs: number
  now(): number
  log(message: string, ...args: unknown[]): void
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

  function enter(key: Key): Attempt {
    const attempt = attempts.enter([key])
    if ('waitMs' in attempt) throw new AttemptsError(attempt.waitMs)
    return attempt
  }

  async function enterOne(person: SignIn, found: FoundHomes, origin: Origin): Promise<SignedIn> {
    // the home counts by name, and knows the browsers that need not wait for others
    const attempt = enter(`address ${networkOf(origin.address)}`)
    const own = { ...person, name: found.name }
    let tooMany: Error | undefined
    let isJudged = false
    const there = async (peer: string): Promise<SignedIn> => {
      const entered = await homes()!.signIn({ ...own, agent: origin.agent }, peer)
      return { ...make(entered, peer, origin), device: entered.device }
    }
    const ways = [
      ...(found.isHere ? [() => accounts.signIn(own, origin)] : []),
      ...((await homes()?.answering(found.peers)) ?? []).map(peer => () => there(peer))
    ]
    for (const way of ways)
      try {
        const entered = await way()
        attempt.succeeded()
        return entered
      } catch (error) {
        const { name, message } = error as Error
        isJudged ||= JUDGED.includes(name)
        if (name === 'SecondFactorError') throw error
        if (name === 'AttemptsError') tooMany = new AttemptsError(waitOf(message))
        log('%s is not let in by a home: %s', own.name, message)
      }
    // where none has looked, as a home would
    if (!isJudged) enter(`pair ${hashOf(nameKey(person.name))}`)
    throw (
      tooMany ??
      new SignInError(
        'name, home, password or code are wrong, or the home does not answer now; who sits down at it sees which'
      )
    )
  }

  return {
    // a password of an account here goes nowhere
    homesOf: name => (accounts.has(name) ? undefined : homes()?.of(name)),
    async signIn(person, found, { address, agent }) {
      const soonest = delay(failureMs, undefined, { ref: false })
      try {
        return await enterOne(person, found, { address, agent: agent.slice(0, MAX_AGENT_CHARS) })
      } catch (error) {
        if ((error as Error).name !== 'SecondFactorError') await soonest
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
    end,
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
