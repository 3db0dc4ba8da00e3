import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { patient } from '../bootstrap/patient.ts'

/** Two connected peers of this process, on loopback. */
export interface TwoNodes {
  a: Libp2p
  b: Libp2p
  stop(): Promise<void>
}

export async function startNodes(): Promise<TwoNodes> {
  const start = () =>
    createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      ...patient
    })
  const [a, b] = await Promise.all([start(), start()])
  await b.dial(a.getMultiaddrs())
  return {
    a,
    b,
    async stop() {
      await Promise.all([a.stop(), b.stop()])
    }
  }
}
