import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import {
  type Caller,
  type Capabilities,
  type Grant,
  type KeyOf,
  type Lockers,
  UnauthorizedError
} from '../../host/index.ts'
import { LockedError, PolicyError, UnknownChatError } from '../errors.ts'
import { isPerson } from '../people/acting.ts'
import type { InTurn } from '../store/database.ts'
import {
  type Lock,
  type Locker,
  lockOf,
  makeLocker,
  type Opened,
  openByCode,
  openByPassword,
  readLocker,
  withCode,
  withLocks,
  writeLocker
} from './locker.ts'

/** Whoever comes again soon finds everything as it was. */
const CLOSE_MS = 120_000
const KEYS = 'keys'
const NOT_BY_PASSWORD =
  'your password was given anew, and does not open what you have here: your recovery code does'
const DAMAGED =
  'the key of what you have here cannot be read; the owner of this node puts it back from a backup, or an admin lets you begin anew'
const UNOPENED = 'what you have here cannot be opened; the log of this node tells its owner why'

export interface HostingInit<Open> {
  /** of the node */
  db: DatabaseSync
  /** has a folder for each person */
  folder: string
  /** people whose home this node may be */
  most(): number
  people(): Capabilities['people'] | undefined
  /** Opens what is in a folder, until the signal. `invite`: the code by which the device comes into the school. */
  open(
    user: string,
    folder: string,
    opened: Opened,
    invite: string | undefined,
    signal: AbortSignal
  ): Promise<Open>
  inTurn: InTurn
  signal: AbortSignal
  log(message: string, ...args: unknown[]): void
}
export type Hosting<Open> = ReturnType<typeof createHosting<Open>>

interface Row {
  user: string
  folder: string
  /** code of an invitation that no device used yet; none: another device of his lets him in */
  invite: string | null
}
interface Session {
  user: string
  lock: Lock
  /** none: the password does not open it */
  key?: Uint8Array
  /** where something else is in the way */
  why?: string
}
interface Opening<Open> {
  is: Open
  sessions: Set<string>
  end: AbortController
  closing?: NodeJS.Timeout
}

/**
 * People without a computer of their own, whose home this node is: each is a device of his own, which is open while its
 * person is signed in, and sealed by his password otherwise.
 */
export function createHosting<Open>(init: HostingInit<Open>) {
  const { db, folder, inTurn, log } = init
  const rows = db.prepare('SELECT user, folder, invite FROM hosted ORDER BY user')
  const add = db.prepare(
    'INSERT INTO hosted VALUES (?, ?, ?) ON CONFLICT (user) DO UPDATE SET invite = excluded.invite'
  )
  const move = db.prepare('UPDATE hosted SET folder = ? WHERE user = ?')
  const useInvite = db.prepare('UPDATE hosted SET invite = NULL WHERE user = ?')
  const drop = db.prepare('DELETE FROM hosted WHERE user = ?')
  const all = (): Row[] => rows.all() as unknown as Row[]
  /** by the session of the account */
  const sessions = new Map<string, Session>()
  /** by person */
  const opened = new Map<string, Opening<Open>>()

  const newFolder = (): string => randomBytes(8).toString('hex')
  const fileOf = (row: Row): string => join(folder, row.folder, KEYS)
  const rowOf = (account: string): Row | undefined =>
    init.most() === 0 ? undefined : all().find(({ user }) => isPerson(account, user))

  async function open(row: Row, session: string, what: Opened): Promise<void> {
    const there = opened.get(row.user)
    if (there != null) {
      clearTimeout(there.closing)
      there.sessions.add(session)
      return
    }
    const end = new AbortController()
    const signal = AbortSignal.any([end.signal, init.signal])
    const is = await init.open(row.user, join(folder, row.folder), what, row.invite ?? undefined, signal)
    opened.set(row.user, { is, sessions: new Set([session]), end })
    // it ended while this was opened
    if (!sessions.has(session)) letGo(row.user, session)
  }

  function close(user: string): void {
    const there = opened.get(user)
    clearTimeout(there?.closing)
    opened.delete(user)
    there?.end.abort()
  }

  function forget(user: string): void {
    close(user)
    for (const [id, session] of sessions) if (session.user === user) sessions.delete(id)
  }

  function over(id: string): void {
    const { user } = sessions.get(id) ?? {}
    sessions.delete(id)
    if (user != null) letGo(user, id)
  }

  function letGo(user: string, id: string): void {
    const there = opened.get(user)
    if (there == null || !there.sessions.delete(id) || there.sessions.size > 0) return
    there.closing = setTimeout(() => close(user), CLOSE_MS).unref()
  }

  /** The session of who asks, where he has his home here. */
  function sessionOf(caller: Caller): { id: string; session: Session } | undefined {
    if (caller.is !== 'grant') return undefined
    const { account, home, id } = caller.grant
    if (account == null || home != null || rowOf(account.name) == null) return undefined
    const session = sessions.get(id)
    if (session != null) return { id, session }
    // of before the node started: what opens it is in no file
    init.people()?.signOut(id)
    throw new UnauthorizedError('the node was started anew, and what you have here is sealed; sign in again')
  }

  /** @throws {PolicyError} */
  function lockedOf(caller: Caller): { id: string; session: Session; row: Row } {
    const found = sessionOf(caller)
    const row = found == null ? undefined : all().find(({ user }) => user === found.session.user)
    if (found == null || row == null || found.session.key != null)
      throw new PolicyError('nothing of yours is locked here')
    return { ...found, row }
  }

  async function unlock({ id, session, row }: ReturnType<typeof lockedOf>, locker: Locker, what: Opened) {
    await writeLocker(fileOf(row), locker)
    await open(row, id, what)
    session.key = what.key
  }

  /** At the first sign-in. */
  async function begun(file: string, keyOf: KeyOf): Promise<{ lock: Lock; opened: Opened }> {
    const lock = await lockOf(keyOf)
    const { locker, opened } = makeLocker(lock)
    await writeLocker(file, locker)
    return { lock, opened }
  }

  async function sessionBy(row: Row, keyOf: KeyOf, unopened: (error: Error) => void) {
    const { user } = row
    const file = fileOf(row)
    let kept: Locker | undefined
    try {
      kept = await readLocker(file)
    } catch (error) {
      unopened(error as Error)
      return { session: { user, lock: await lockOf(keyOf), why: DAMAGED } }
    }
    const { lock, opened: what } = kept == null ? await begun(file, keyOf) : await openByPassword(kept, keyOf)
    // the node went down while the password was changed
    if (kept != null && what != null && kept.passwords.length > 1)
      await writeLocker(file, withLocks(kept, what.key, [lock]))
    const session: Session = { user, lock, ...(what == null ? {} : { key: what.key }) }
    return { session, opened: what }
  }

  const lockers: Lockers = {
    async opened({ id, account, ended }, keyOf) {
      const row = rowOf(account)
      if (row == null) return
      // who has an account is let in, and hears what is in the way when he asks for his chats
      const unopened = (error: Error): void => log('%s cannot be opened: %s', row.user, error.message)
      await inTurn(row.user, async () => {
        const { session, opened: what } = await sessionBy(row, keyOf, unopened)
        if (ended.aborted) return
        sessions.set(id, session)
        ended.addEventListener('abort', () => over(id), { once: true })
        if (what != null)
          await open(row, id, what).catch((error: Error) => {
            unopened(error)
            session.why = UNOPENED
          })
      }).catch(unopened)
    },
    async changing({ id, account }, before, after) {
      const row = rowOf(account)
      const file = row == null ? '' : fileOf(row)
      const kept = row == null ? undefined : await readLocker(file)
      if (row == null || kept == null) return async () => undefined
      const { lock, opened: what } = await openByPassword(kept, before)
      const next = await lockOf(after)
      const session = sessions.get(id)
      if (session != null) session.lock = next
      if (what == null) return async () => undefined
      const change = (locks: readonly Lock[]): Promise<void> =>
        inTurn(row.user, async () => {
          const now = await readLocker(file)
          if (now != null) await writeLocker(file, withLocks(now, what.key, locks))
        })
      await change([next, lock])
      return () => change([next])
    }
  }

  return {
    lockers,
    /** Those who are open now. */
    open: (): Open[] => [...opened.values()].map(({ is }) => is),
    /** Who has his home here under the name of an account. */
    userOf: (account: string): string | undefined => rowOf(account)?.user,
    /**
     * Of who asks, where he has his home here.
     *
     * @throws {LockedError} his password does not open it, or it is damaged
     * @throws {UnauthorizedError} the session was begun before the node was
     */
    of(caller: Caller): Open | undefined {
      const found = sessionOf(caller)
      if (found == null) return undefined
      const there = found.session.key == null ? undefined : opened.get(found.session.user)
      if (there == null) throw new LockedError(found.session.why ?? NOT_BY_PASSWORD)
      return there.is
    },
    /** Whether a session hears what is told to the pages of a person. */
    isOf: ({ id }: Grant, user: string): boolean => {
      const session = sessions.get(id)
      return session?.user === user && session.key != null
    },
    /** Of who asks: whether he has his home here, and his password opens it. */
    isLocked(caller: Caller): boolean | undefined {
      const found = sessionOf(caller)
      return found == null ? undefined : found.session.key == null
    },

    /** People whose home this node is; `isInvited`: a device of theirs may come in. */
    list: () =>
      all().map(({ user, invite }) => ({ user, isInvited: invite != null, isOpen: opened.has(user) })),
    /** @throws {PolicyError} the owner of the node lets nobody more */
    checkRoom(users: readonly string[]): void {
      const there = new Set(all().map(({ user }) => user))
      const more = users.filter(user => !there.has(user)).length
      if (there.size + more > init.most())
        throw new PolicyError(
          `this node is the home of ${there.size} people, and its owner lets it be that of ${init.most()}; the setting is messenger.hosted`
        )
    },
    /**
     * This node is the home of a person; `invite` lets his device in when he first signs in, or begins anew. Without, one that
     * he has elsewhere does.
     */
    add: (user: string, invite: string | null): void => void add.run(user, newFolder(), invite),
    used: (user: string): void => void useInvite.run(user),
    /** What he has here is gone. @throws {UnknownChatError} he has nothing here */
    async remove(user: string): Promise<void> {
      const row = all().find(each => each.user === user)
      if (row == null) throw new UnknownChatError(`${user} has no home at this node`)
      await inTurn(user, async () => {
        forget(user)
        drop.run(user)
        await rm(join(folder, row.folder), { recursive: true, force: true })
      })
    },

    /** @throws {PolicyError} another code, or nothing is locked */
    openByCode: (caller: Caller, code: string): Promise<void> =>
      inTurn(lockedOf(caller).row.user, async () => {
        const locked = lockedOf(caller)
        const kept = await readLocker(fileOf(locked.row))
        const what = kept == null ? undefined : openByCode(kept, code)
        if (kept == null || what == null)
          throw new PolicyError('this is not the recovery code that was printed last for this home')
        await unlock(locked, withLocks(kept, what.key, [locked.session.lock]), what)
      }),
    /** As another device, without what the old one had. @throws {PolicyError} an admin must let it in first */
    beginAnew: (caller: Caller): Promise<void> =>
      inTurn(lockedOf(caller).row.user, async () => {
        const locked = lockedOf(caller)
        const { row, session } = locked
        if (row.invite == null)
          throw new PolicyError(
            `an admin lets you begin anew: artel messenger host ${row.user}, at this node; then come again`
          )
        forget(row.user)
        sessions.set(locked.id, session)
        const old = row.folder
        row.folder = newFolder()
        const made = makeLocker(session.lock)
        await writeLocker(fileOf(row), made.locker)
        move.run(row.folder, row.user)
        await rm(join(folder, old), { recursive: true, force: true })
        await unlock(locked, made.locker, made.opened)
      }),
    /** A recovery code opens it from now on, and no older one. */
    async setCode(user: string, key: Uint8Array, code: string): Promise<void> {
      const row = all().find(each => each.user === user)!
      await inTurn(user, async () => {
        const kept = await readLocker(fileOf(row))
        if (kept != null) await writeLocker(fileOf(row), withCode(kept, key, code))
      })
    }
  }
}
