import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { SeedError } from './errors.ts'
import { framed } from './framing.ts'
import { MAX_NETWORK_BYTES, type NetworkDefinition, peerOf, verifyNetwork } from './network.ts'
import { ANSWER_TIMEOUT_MS, NETWORK_PROTOCOL } from './network-exchange.ts'
import { limitsSchema } from './settings.ts'
import { createStreamGuard } from './stream-guard.ts'

/**
 * Asks the seed at `address` for the definition of its network. The connection proves the peer id in the
 * address, the signature proves the founder, and the seed must be the founder, a witness or a seed of that
 * network: so whoever gave us the address is all we trust. A network with a pre-shared key cannot be asked.
 *
 * @throws {SeedError} nobody there, no answer, or an answer of a network that the seed has no part in
 */
export async function fetchNetwork(
  address: string,
  { signal }: { signal?: AbortSignal } = {}
): Promise<NetworkDefinition> {
  const deadline = AbortSignal.any([
    AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    ...(signal == null ? [] : [signal])
  ])
  // with a key of the moment: a seed that still closes this connection must not take the node's own for the same
  const guard = createStreamGuard({ limits: limitsSchema.parse({}) })
  const libp2p = await createLibp2p({
    transports: [tcp(), webSockets()],
    connectionProtector: guard.protector(),
    connectionEncrypters: [guard.encrypter(noise())],
    streamMuxers: [guard.muxer(yamux())]
  })
  try {
    const stream = await libp2p.dialProtocol(multiaddr(address), NETWORK_PROTOCOL, { signal: deadline })
    const answer = await framed(stream, MAX_NETWORK_BYTES).read({ signal: deadline })
    const network = await verifyNetwork(JSON.parse(Buffer.from(answer.subarray()).toString('utf8')))
    const seed = peerOf(address)
    const insiders = [network.founder, ...network.witnesses, ...network.seeds.map(peerOf)]
    if (seed == null || !insiders.includes(seed)) {
      throw new Error(`it answers for network ${network.name}, which does not name it`)
    }
    return network
  } catch (error) {
    throw new SeedError(
      `the seed ${address} gave no network definition: ${(error as Error).message}; check the address, or give the file with --network`
    )
  } finally {
    await libp2p.stop()
  }
}
