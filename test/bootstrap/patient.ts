import type { Libp2pOptions } from 'libp2p'

/** These only end a test that has failed anyway. */
const PATIENT_MS = 240_000

/**
 * For nodes of tests that nobody dials again: libp2p gives up on who does not answer within 5 to 10 s, and a busy machine
 * stands still for longer.
 */
export const patient = {
  connectionManager: {
    dialTimeout: PATIENT_MS,
    addressDialTimeout: PATIENT_MS,
    inboundUpgradeTimeout: PATIENT_MS,
    inboundStreamProtocolNegotiationTimeout: PATIENT_MS,
    outboundStreamProtocolNegotiationTimeout: PATIENT_MS,
    inboundConnectionThreshold: 1000
  },
  connectionMonitor: { enabled: false }
} satisfies Libp2pOptions
