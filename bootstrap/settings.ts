import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { isPeerId, isSeedAddress } from './network.ts'

/** Nobody but this machine, unless told. */
export const DEFAULT_LISTEN = ['/ip4/127.0.0.1/tcp/0']

/** How much strangers may ask of this node's network side. */
export const limitsSchema = z.strictObject({
  maxConnections: z.int().min(8).default(100).describe('most open connections; libp2p would take 300'),
  inboundPerSecond: z
    .int()
    .min(1)
    .default(50)
    .describe('new connections per second and host; libp2p takes 5, which refuses nodes behind one NAT'),
  pendingInbound: z.int().min(1).default(50).describe('connections that have not finished their handshake'),
  gossipBytes: z
    .int()
    .min(1024)
    .default(1024 * 1024)
    .describe('largest gossip message that is decoded, in bytes')
})

export type Limits = z.infer<typeof limitsSchema>

const address = z.string().refine(isMultiaddr, 'not a multiaddr, like /ip4/127.0.0.1/tcp/4001')

/** What the owner of a node may decide about its network side. */
export const networkSettingsSchema = z.strictObject({
  network: z
    .string()
    .optional()
    .describe(
      'file of the network definition; without it the one in the data folder, else the seeds are asked'
    ),
  seeds: z
    .array(
      z
        .string()
        .refine(
          isSeedAddress,
          'not an address as `artel seed` prints it: a multiaddr that ends in /p2p/<peer id>'
        )
    )
    .default([])
    .describe('addresses of seeds beside those of the definition'),
  listen: z
    .array(address)
    .default(DEFAULT_LISTEN)
    .describe('addresses to listen on; loopback only, unless told'),
  announce: z
    .array(address)
    .default([])
    .describe('addresses to tell others instead, for a node behind a forwarded port'),
  mdns: z.boolean().default(false).describe('find nodes of the same network on the local network'),
  blockedPeers: z
    .array(z.string().refine(isPeerId, 'not a peer id'))
    .default([])
    .describe('peer ids to have no connection with'),
  limits: limitsSchema.prefault({})
})

export type NetworkSettings = z.infer<typeof networkSettingsSchema>

function isMultiaddr(value: string): boolean {
  try {
    multiaddr(value)
    return true
  } catch {
    return false
  }
}
