import { type AtHome, type Call, type Caller, ForbiddenError, type Handlers } from '../../host/index.ts'
import type { Asked } from '../admin/logs.ts'
import { userId } from '../core/statement.ts'
import { declaration } from '../declaration.ts'
import { LockedError, TooManyMessagesError } from '../errors.ts'
import { idFrom } from './import-people.ts'

const WINDOW_MS = 60_000
/** Of one person or program: more than anybody types, less than a flood. */
export const MAX_WRITES = 200
export const MAX_READS = 3_000

/**
 * Whether an account of the gateway is this person: its name is his login or, where it could be none, makes it.
 * `Anna Petrova` is `anna.petrova`, and `anna-petrova` is somebody else. Pure.
 */
export const isPerson = (account: string, login: string): boolean => loginOf(account) === login.toLowerCase()
/** In small letters. Pure. */
export const loginOf = (account: string): string =>
  userId.safeParse(account).success ? account.toLowerCase() : idFrom(account)

/** Only the person whose device this is speaks and reads by it. A token, and this machine, are its owner's. Pure. */
export function mayChat(caller: Caller, login: string | undefined): boolean {
  if (caller.is !== 'grant' || caller.grant.account == null) return true
  // whose home is elsewhere only has the name of somebody
  if (caller.grant.home != null) return false
  return login != null && isPerson(caller.grant.account.name, login)
}

/** @throws {ForbiddenError} */
export function checkPerson(caller: Caller, login: string | undefined): void {
  if (mayChat(caller, login)) return
  const name = caller.is === 'grant' ? caller.grant.account?.name : caller.is
  throw new ForbiddenError(
    `the chats of this node are ${login == null ? 'nobody’s' : `those of ${login}`}, not of ${name}: sign in at the node that joined the school for you`
  )
}

/** Counts what each asks in a minute. @throws {TooManyMessagesError} by `count` */
export function createLimits(now: () => number) {
  const counts = new Map<string, number>()
  let ends = 0
  return {
    count({ caller }: Pick<Call, 'caller'>, kind: 'read' | 'write'): void {
      // the own machine is not held up
      if (caller.is !== 'grant') return
      if (now() >= ends) {
        counts.clear()
        ends = now() + WINDOW_MS
      }
      // a person in two browsers is one person
      const key = `${kind} ${caller.grant.account?.id ?? caller.grant.id}`
      const seen = (counts.get(key) ?? 0) + 1
      counts.set(key, seen)
      const most = kind === 'write' ? MAX_WRITES : MAX_READS
      if (seen <= most) return
      const retryAfter = Math.max(1, Math.ceil((ends - now()) / 1000))
      throw new TooManyMessagesError(`more than ${most} in a minute; go on in ${retryAfter} s`, retryAfter)
    }
  }
}

type Declared = Handlers<typeof declaration.operations>
/** What says nothing of chats: who is in the school is no secret among its people. */
const OPEN: readonly string[] = ['status', 'users'] satisfies (keyof Declared)[]

/** Who is here when stands in no log. */
const UNTOLD: readonly string[] = ['presence', 'setPresence'] satisfies (keyof Declared)[]

/** Whose key it is: that of one program is not that of another. */
export const writerOf = (caller: Caller): string =>
  caller.is === 'grant' ? (caller.grant.account?.id ?? caller.grant.id) : caller.is

const nameOf = (caller: Caller): string =>
  caller.is === 'grant' ? (caller.grant.account?.name ?? caller.grant.id) : caller.is

/** Of who signed in and is nobody here yet: what he has here is sealed. */
const SEALED: readonly string[] = ['openHome', 'beginAnew'] satisfies (keyof Declared)[]

/** Handlers that let each do only what his account may, and so often. Scopes are the host's. */
export function guarded(
  /** of the person of this node */
  handlers: Declared,
  init: {
    now(): number
    login(): string | undefined
    /** those of a person who has his home here; undefined: he has none. @throws {LockedError} {UnauthorizedError} */
    atThisHome(caller: Caller): Partial<Declared> | undefined
    answered(ms: number): void
    asked(what: Asked): void
    /** asks the home of who has one elsewhere */
    atHome(home: AtHome, operation: keyof Declared, input: object, call: Call): Promise<unknown>
  }
): Declared {
  const limits = createLimits(init.now)
  const wrapped = Object.entries(declaration.operations).map(([name, { scope, http }]) => {
    const isOpen = OPEN.includes(name)
    const isPersonal = scope !== 'messenger:admin' && !isOpen && !SEALED.includes(name)
    /** Of who asks. @throws {ForbiddenError} nobody has chats here who is called so */
    function handlersOf(caller: Caller): Partial<Declared> {
      if (scope === 'messenger:admin' || SEALED.includes(name)) return handlers
      try {
        const own = init.atThisHome(caller)
        if (own != null) return own
      } catch (error) {
        if (!isOpen || !(error instanceof LockedError)) throw error
        return handlers
      }
      if (isPersonal) checkPerson(caller, init.login())
      return handlers
    }
    return [
      name,
      async (input: never, call: Call) => {
        const { caller } = call
        if (caller.is === 'grant' && caller.grant.home != null)
          return init.atHome(caller.grant.home, name as keyof Declared, input, call)
        const isRead = http.method === 'GET'
        const begun = performance.now()
        const told = { operation: name, isRead, by: nameOf(caller) }
        try {
          limits.count(call, isRead ? 'read' : 'write')
          const handler = handlersOf(caller)[name as keyof Declared] as (input: never, call: Call) => unknown
          const answer = await handler(input, call)
          const ms = performance.now() - begun
          // how long an administrator's work takes says nothing
          if (isPersonal) init.answered(ms)
          if (!UNTOLD.includes(name)) init.asked({ ...told, ms })
          return answer
        } catch (thrown) {
          init.asked({ ...told, ms: performance.now() - begun, error: thrown as Error })
          throw thrown
        }
      }
    ]
  })
  return Object.fromEntries(wrapped) as Declared
}
