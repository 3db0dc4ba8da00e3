import type { ConnectionGater, PeerId } from '@libp2p/interface'

/**
 * Refuses blocked peers in both directions, those that are barred for a while, and addresses that no peer has but that a stranger could make us
 * dial through a DHT record: the link-local range, where clouds keep their metadata service.
 */
export function createGater(
  blocked: Iterable<string> = [],
  isBarred: (peer: string) => boolean = () => false
): ConnectionGater {
  const refused = new Set(blocked)
  const isRefused = (peer: PeerId): boolean => refused.has(peer.toString()) || isBarred(peer.toString())
  return {
    denyDialPeer: isRefused,
    denyInboundEncryptedConnection: isRefused,
    // who was dialled by an address that does not name him
    denyOutboundEncryptedConnection: isRefused,
    denyDialMultiaddr: address => {
      const [host] = address.getComponents()
      return host?.name === 'ip4' && host.value?.startsWith('169.254.') === true
    }
  }
}
