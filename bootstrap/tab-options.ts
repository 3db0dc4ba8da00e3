import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { type Identify, type IdentifyPush, identify, identifyPush } from '@libp2p/identify'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { type Ping, ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import type { Libp2pOptions } from 'libp2p'
import { wholeMessages } from './whole-messages.ts'

interface TabOptionsInit {
  privateKey: Ed25519PrivateKey
  version: string
}

type TabServices = { identify: Identify; identifyPush: IdentifyPush; ping: Ping }

/**
 * What libp2p needs in a page of a browser: it dials by WebSocket and listens nowhere. The page must be a secure context
 * (loopback or https), or there is no cryptography. Networks with a pre-shared key are not for browsers: a page that is
 * served to everybody would tell the key.
 */
export function tabOptions({ privateKey, version }: TabOptionsInit): Libp2pOptions<TabServices> {
  return {
    privateKey,
    nodeInfo: { name: 'artel', version, userAgent: `artel-tab/${version}` },
    addresses: { listen: [] },
    transports: [webSockets()],
    connectionEncrypters: [wholeMessages(noise(), { inPlace: true })],
    streamMuxers: [yamux()],
    // the page's server says which addresses, and a node of one's own is on loopback, without TLS
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { abortConnectionOnPingFailure: false },
    services: { identify: identify(), identifyPush: identifyPush(), ping: ping() }
  }
}
