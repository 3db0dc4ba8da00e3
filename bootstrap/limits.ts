import { z } from 'zod'

/** How much strangers may ask of this node's network side (facts.md, "libp2p"). */
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
