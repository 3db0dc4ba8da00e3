import { isIP } from 'node:net'
import { isGlobal } from './addresses.ts'
import { ForbiddenAddressError } from './errors.ts'

/** All addresses of a name. */
export type Resolve = (hostname: string, signal: AbortSignal) => Promise<string[]>

const PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/** `name:port` of a URL, as `openHosts` has it. */
export const hostOf = (url: URL): string => `${url.hostname}:${url.port || PORTS[url.protocol]}`

/**
 * Reads a URL that a stranger may have written. The WHATWG parser has already made `0x7f.1`, `2130706433` and `①②⑦.0.0.1`
 * into the address that they are, so what is looked at is what is reached.
 *
 * @param openHosts `name:port` that the owner of this node allows although it is inside, or on another port
 * @throws {ForbiddenAddressError}
 */
export function readTarget(text: string, openHosts: readonly string[]): URL {
  const url = URL.parse(text)
  if (url == null || PORTS[url.protocol] == null)
    throw new ForbiddenAddressError(`${text.slice(0, 200)} is no address of http or https`)
  if (url.username !== '' || url.password !== '')
    throw new ForbiddenAddressError(`${url.origin}: no name and password in an address`)
  if (openHosts.includes(hostOf(url))) return url
  if (url.port !== '')
    throw new ForbiddenAddressError(
      `${url.origin}: only the ports 80 and 443; the owner of this node can open ${hostOf(url)}`
    )
  const literal = literalOf(url.hostname)
  if (literal != null && !isGlobal(literal)) throw inside(url.hostname, literal)
  return url
}

/**
 * The addresses to connect to, the first that answers. A name is resolved here and nowhere else, so that it cannot be another one when it is
 * connected to; a name with even one address inside is refused.
 *
 * @throws {ForbiddenAddressError}
 */
export async function addressesOf(
  hostname: string,
  { resolve, isOpen, signal }: { resolve: Resolve; isOpen: boolean; signal: AbortSignal }
): Promise<string[]> {
  const literal = literalOf(hostname)
  const addresses = literal == null ? await resolve(hostname, signal) : [literal]
  if (addresses.length === 0) throw new ForbiddenAddressError(`${hostname} has no address`)
  const wrong = isOpen ? undefined : addresses.find(address => !isGlobal(address))
  if (wrong != null) throw inside(hostname, wrong)
  return addresses
}

/** `[::1]` → `::1`; undefined for names */
function literalOf(hostname: string): string | undefined {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  return isIP(bare) === 0 ? undefined : bare
}

const inside = (hostname: string, address: string): ForbiddenAddressError =>
  new ForbiddenAddressError(
    `${hostname} is ${address}, which is not of the internet; the owner of this node can open it`
  )
