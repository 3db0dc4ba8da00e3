/**
 * The owner or network that an address belongs to, as far as it shows: the /24 of a public IPv4 address, the /48 of
 * an IPv6 one. undefined on loopback and private addresses, where every machine is its own.
 */
export function addressGroup(multiaddr: string): string | undefined {
  const [, family, host = ''] = multiaddr.split('/')
  if (family === 'ip4') {
    if (
      /^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(
        host
      )
    )
      return
    return host.split('.').slice(0, 3).join('.')
  }
  if (family === 'ip6') {
    if (/^(::1?$|f[cd]|fe[89ab])/i.test(host)) return
    const [head = '', tail] = host.split('::')
    const groups = head.split(':')
    while (tail !== undefined && groups.length < 3) groups.push('0')
    return groups.slice(0, 3).join(':')
  }
}
