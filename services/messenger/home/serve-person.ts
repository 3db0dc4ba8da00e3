import {
  allows,
  type Caller,
  type Capabilities,
  callOperation,
  ForbiddenError,
  type Grant,
  type Handlers,
  type Operation,
  type PeerCall,
  type PersonAt,
  ServiceDownError,
  toWire,
  UnauthorizedError,
  UnknownOperationError
} from '../../host/index.ts'
import { declaration } from '../declaration.ts'
import { CARRIED_SCOPES } from '../messages.ts'
import { fromParts, inParts } from './parts.ts'
import type { Telling, Told } from './telling.ts'

type Declared = typeof declaration.operations

const INPUT_BYTES = 64 * 1024
/** What would outlive the session: a node that was stolen must not let itself in for good. */
const AT_HOME_ONLY: readonly string[] = [
  'addDevice',
  'beginAnew',
  'confirmDevice',
  'joinHome',
  'makeRecovery',
  'openHome',
  'revoke'
] satisfies (keyof Declared)[]
const NOBODY = { allowedPeers: [], deniedPeers: [] }

export interface HomeInit {
  isOpen(): boolean
  people(): Capabilities['people'] | undefined
  /** whether a person of this name has his home here: the node is his, or he is hosted */
  isOf(name: string): boolean
  operations(): Handlers<Declared>
  /** of who asks. @throws {ForbiddenError} {LockedError} nothing here is his, or it is sealed */
  follow(caller: Caller): Telling['follow']
  signal: AbortSignal
}

export type Home = ReturnType<typeof createHome>

/** This node as the home of its person, who sits at another one of the school, which carries his session. */
export function createHome({ isOpen, people, isOf, operations, follow, signal }: HomeInit) {
  function accounts(): Capabilities['people'] {
    if (!isOpen())
      throw new ForbiddenError(
        'this node is no home: who has an account here signs in here, until its owner sets messenger.home'
      )
    const open = people()
    if (open == null) throw new ServiceDownError('this node has no accounts: its gateway is off or starts')
    return open
  }

  /** Of a person a node may ask for no more than his chats. @throws {UnauthorizedError} */
  function carried(token: string, peer: string): Grant {
    const grant = accounts().find(token, peer)
    if (grant == null) throw new UnauthorizedError('the session at your home is over; sign in again')
    return { ...grant, scopes: CARRIED_SCOPES.filter(scope => allows(grant, scope)) }
  }

  return {
    /** @throws {ForbiddenError} no home of his. Nobody guesses the passwords of others here: it is asked first. */
    async signIn(person: PersonAt, peer: string) {
      const open = accounts()
      if (!isOf(person.name))
        throw new ForbiddenError('this node is no home of that name; the home of a person is a device of his')
      const { account, ...opened } = await open.signIn(person, peer)
      const { scopes } = carried(opened.token, peer)
      const { id, name, role, created, hasSecondFactor } = account
      return {
        ...opened,
        scopes: [...scopes] as never,
        account: { id, name, role, created, hasSecondFactor }
      }
    },
    signOut(token: string, peer: string): void {
      accounts().signOut(carried(token, peer).id)
    },
    /** `admit` throws where the node is none of the school. */
    async ask(
      { token, operation: name, digest }: { token: string; operation: string; digest?: string },
      { peer, signal: asked, received, send }: PeerCall<Uint8Array, Uint8Array>,
      admit: () => void
    ): Promise<void> {
      admit()
      carried(token, peer)
      const known: Record<string, Operation> = declaration.operations
      const operation = Object.hasOwn(known, name) ? known[name]! : undefined
      if (operation == null) throw new UnknownOperationError(`there is no operation ${JSON.stringify(name)}`)
      if (AT_HOME_ONLY.includes(name))
        throw new ForbiddenError('devices and recovery codes are made and revoked at your own node only')
      const input = await fromParts(received, operation.http.bodyBytes ?? INPUT_BYTES)
      // what a node holds back it would send when it was revoked, or the session was over
      admit()
      const grant = carried(token, peer)
      const output = await callOperation(
        `messenger.${name}`,
        operation,
        operations()[name as keyof Declared] as never,
        input,
        { caller: { is: 'grant', grant }, signal: asked, digest, lists: NOBODY, stopping: signal }
      )
      for (const part of inParts(toWire(output))) await send(part)
    },
    async *watch(token: string, peer: string, asked: AbortSignal): AsyncGenerator<Told> {
      const grant = carried(token, peer)
      const of = follow({ is: 'grant', grant })
      if (!allows(grant, 'messenger:read')) throw new ForbiddenError('this needs the scope messenger:read')
      const ended = accounts().ended(grant.id)
      for await (const told of of(AbortSignal.any([asked, ended]))) {
        // it may have been switched off
        accounts()
        yield told
      }
      if (ended.aborted) carried(token, peer)
    }
  }
}
