/** What a token or an account is allowed: that of the node itself, or that of one service. */
export type Scope = 'read' | 'submit' | 'credits' | 'admin' | 'account' | `${string}:${Level}`
export type Level = 'read' | 'write' | 'admin'

/** Which other nodes may call: none, those of the service's `allowedPeers`, or all but those of its `deniedPeers`. */
export type PeerAccess = 'nobody' | 'allowed' | 'everybody'

/** Who asks over HTTP, by a token or by a session of an account. */
export interface Grant {
  id: string
  scopes: readonly string[]
  /** ms since 1970 */
  expires?: number
  /** whose session it is; absent for a token */
  account?: { id: string; name: string; role: string }
  /** where the account is, if that is another node: what he may is done there, and nothing of it here */
  home?: AtHome
}

/** A session that this node carries. */
export interface AtHome {
  peer: string
  token: string
}

/** Who asks. The owner sits at this machine: command line, control socket, a program in this process. */
export type Caller =
  | { is: 'owner' }
  | { is: 'grant'; grant: Grant }
  /** somebody on HTTP without a grant */
  | { is: 'stranger' }
  /** another node, by its peer id, which the connection has proved */
  | { is: 'peer'; peer: string }

export const OWNER: Caller = { is: 'owner' }

export interface PeerLists {
  allowedPeers: readonly string[]
  deniedPeers: readonly string[]
}

const LEVELS: readonly string[] = ['read', 'write', 'admin'] satisfies Level[]

/** Every scope that services have. */
export const serviceScopes = (modules: readonly { name: string }[]): Scope[] =>
  modules.flatMap(({ name }) => LEVELS.map(level => `${name}:${level as Level}` as const))

/**
 * Whether a grant has a scope. `admin` has every one, `files:write` has `files:read`. Everybody who is known may look
 * after himself: `account`. A node's `read` opens no service: what people write to each other is no figure of a node.
 */
export function allows({ scopes }: Pick<Grant, 'scopes'>, scope: Scope): boolean {
  if (scope === 'account' || scopes.includes(scope) || scopes.includes('admin')) return true
  const [service, level] = scope.split(':')
  return LEVELS.slice(LEVELS.indexOf(level ?? '') + 1).some(
    higher => level != null && scopes.includes(`${service}:${higher}`)
  )
}

/** Whether a peer may call what is open to `access`. Who is denied is denied, also where he is allowed. */
export function admits(access: PeerAccess, peer: string, { allowedPeers, deniedPeers }: PeerLists): boolean {
  if (access === 'nobody' || deniedPeers.includes(peer)) return false
  return access === 'everybody' || allowedPeers.includes(peer) || allowedPeers.includes('*')
}

/** Why a caller may not, or undefined when he may. */
export function refusal(
  { scope, peers = 'nobody' }: { scope?: Scope; peers?: PeerAccess },
  caller: Caller,
  lists: PeerLists
): string | undefined {
  if (caller.is === 'owner') return undefined
  if (caller.is === 'peer') return admits(peers, caller.peer, lists) ? undefined : 'this is not for your node'
  if (scope == null) return undefined
  if (caller.is === 'stranger') return `this needs a token with the scope ${scope}`
  if (allows(caller.grant, scope)) return undefined
  return `the token allows ${caller.grant.scopes.join(', ') || 'nothing'}; this needs the scope ${scope}`
}
