import type { AccountGrant, Origin, Session } from './contract.ts'
import type { Endings } from './endings.ts'
import { endOf, IDLE_MS, NOTED_MS, SESSION_MS } from './expiry.ts'
import { hashOf, idOf, isSecret, newId, newSecret } from './secrets.ts'
import type { Store, StoredAccount, StoredSession } from './store.ts'

/** Of one person; the one that was not used for longest makes room. */
export const MAX_SESSIONS = 50
export const MAX_AGENT_CHARS = 200
const PEER = 'peer '
/** Where a session comes from that another node carries. */
export const addressOf = (peer: string): string => `${PEER}${peer}`
/** tells sessions from tokens, whose ids are hexadecimal */
export const SESSION_MARK = 's'

/** Who is signed in. What ends, ends at once: nothing is kept beside the file. */
export function createSessions(store: Store, endings: Pick<Endings, 'end'>, now: () => number) {
  const isOver = (session: StoredSession): boolean => endOf(session) <= now()

  function end(id: string): boolean {
    const isGone = store.removeSession(id) > 0
    endings.end(id)
    return isGone
  }

  function shown(session: StoredSession): Session {
    const { id, account, created, used, address, agent } = session
    const { name } = store.account(account)!
    return { id, account, name, created, used, expires: endOf(session), address, agent }
  }

  return {
    end,
    endAll(account: string): number {
      return store.sessionsOf(account).filter(({ id }) => end(id)).length
    },
    list(account?: string): Session[] {
      const kept = account == null ? store.sessions() : store.sessionsOf(account)
      return kept.filter(session => !isOver(session)).map(shown)
    },
    open(
      account: Pick<StoredAccount, 'id'>,
      { address, agent }: Origin
    ): { token: string; session: Session } {
      store.sweepSessions(now(), now() - IDLE_MS)
      for (const { id } of store.sessionsOf(account.id).slice(MAX_SESSIONS - 1)) end(id)
      const id = `${SESSION_MARK}${newId()}`
      const token = newSecret(id)
      const session = {
        id,
        hash: hashOf(token),
        account: account.id,
        created: now(),
        used: now(),
        expires: now() + SESSION_MS,
        address,
        agent: agent.slice(0, MAX_AGENT_CHARS)
      }
      store.addSession(session)
      return { token, session: shown(session) }
    },
    find(text: string, peer?: string): AccountGrant | undefined {
      const session = store.session(idOf(text) ?? '')
      if (!isSecret(text, session?.hash) || session == null || isOver(session)) return undefined
      // the node that carries it can do nothing else with it, and nobody else anything
      const isRight = peer == null ? !session.address.startsWith(PEER) : session.address === addressOf(peer)
      if (!isRight) return undefined
      const account = store.account(session.account)!
      if (now() - session.used >= NOTED_MS) store.noteUse(now(), session.id)
      const { id, name, role } = account
      return { id: session.id, scopes: scopesOf(role), expires: session.expires, account: { id, name, role } }
    },
    /** whether a session that was found before still counts */
    holds(id: string): boolean {
      const session = store.session(id)
      return session != null && !isOver(session)
    }
  }

  /** A role that was taken away allows nothing. */
  function scopesOf(role: string): string[] {
    const kept = store.role(role)
    return kept == null ? [] : JSON.parse(kept.scopes)
  }
}
export type Sessions = ReturnType<typeof createSessions>
