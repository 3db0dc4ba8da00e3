import ipaddr from 'ipaddr.js'

/** IPv6 that leads into the world (RFC 4291), and what its registry takes out of it for documentation (RFC 9637). */
const WORLD = ipaddr.IPv6.parseCIDR('2000::/3')
const DOCUMENTATION = ipaddr.IPv6.parseCIDR('3fff::/20')
/** NAT64 (RFC 6052): the last four bytes are the address that is reached. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/**
 * Whether an address is of the whole internet: neither of this machine, its networks, a provider's inside, nor of a
 * purpose of its own. What is no address is not.
 */
export function isGlobal(address: string): boolean {
  // `::1%eth0` and the like say where to leave this machine, which no stranger has to
  if (!ipaddr.isValid(address) || address.includes('%')) return false
  const parsed = ipaddr.parse(address)
  if (parsed instanceof ipaddr.IPv4) return parsed.range() === 'unicast'
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().range() === 'unicast'
  if (parsed.match(NAT64)) return embedded(parsed).range() === 'unicast'
  return parsed.range() === 'unicast' && parsed.match(WORLD) && !parsed.match(DOCUMENTATION)
}

const embedded = (address: ipaddr.IPv6): ipaddr.IPv4 => new ipaddr.IPv4(address.toByteArray().slice(12))
