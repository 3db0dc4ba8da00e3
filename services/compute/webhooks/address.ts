import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { raceSignal } from 'race-signal'
import { isGlobal } from '../../outbound/index.ts'

export interface Target {
  address: string
  family: 4 | 6
}
export type Resolve = (host: string) => Promise<{ address: string }[]>

const systemResolve: Resolve = host => lookup(host, { all: true })

/**
 * The address that a host has now, to be connected to as it is: a name that points elsewhere a moment later changes
 * nothing. Where one of its addresses may not be told, none is.
 *
 * @throws {Error} it has none, or one outside the public ranges that `privateRanges` (CIDR) does not list
 */
export async function findTarget(
  host: string,
  privateRanges: readonly string[],
  { signal, resolve = systemResolve }: { signal: AbortSignal; resolve?: Resolve }
): Promise<Target> {
  const name = host.replace(/^\[|\]$/g, '')
  // a look-up cannot be called back
  const found = isIP(name) > 0 ? [{ address: name }] : await raceSignal(resolve(name), signal)
  const refused = found.find(({ address }) => !mayTell(address, privateRanges))
  if (refused != null)
    throw new Error(
      `${host} is ${refused.address}, which is not public; allow its range with the setting webhooks.privateRanges`
    )
  const address = found[0]?.address
  if (address == null) throw new Error(`${host} has no address`)
  return { address, family: isIP(address) as 4 | 6 }
}

/** Whether an address is of the whole internet, or in one of these ranges. An IPv4 address within IPv6 is judged as what it is. */
export function mayTell(text: string, privateRanges: readonly string[]): boolean {
  if (isGlobal(text)) return true
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.process(text)
  return privateRanges.some(range => {
    const [network, bits] = ipaddr.parseCIDR(range)
    return network.kind() === address.kind() && address.match(network, bits)
  })
}
