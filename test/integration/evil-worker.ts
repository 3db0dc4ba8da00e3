import { randomBytes } from 'node:crypto'
import { createLogger, createNode, loadConfig } from '../../node/index.ts'
import { COMPUTE_PROTOCOL, openWorkerChannel } from '../../scheduler/wire.ts'
import { COMPUTE_SERVICE } from '../../services/index.ts'

/*
 * A worker that breaks the protocol: `evil-worker.ts DATA SEED MODE`. Modes:
 * - garbage: random bytes in place of every answer
 * - empty: results of the right number that hold nothing that can be decoded, with signatures that are none
 * - strangers: results of slices that it does not hold, twice each
 */
const [, , data, seed, mode] = process.argv as [string, string, string, string, string]
const config = loadConfig({ flags: { data, seeds: [seed], compute: false } })
const node = await createNode(config, { logger: createLogger(config) })
process.on('SIGINT', () => void node.stop().then(() => process.exit(0)))

const offer = {
  t: 'offer' as const,
  class: node.sandbox.class,
  slots: 4,
  free: 4,
  window: 256,
  walled: true,
  ramMb: 512,
  multiplier: 1,
  minPriceMicro: 0,
  tags: []
}
await node.libp2p.unhandle(COMPUTE_PROTOCOL)
await node.libp2p.handle(
  COMPUTE_PROTOCOL,
  stream => {
    const write = (bytes: Uint8Array): void => {
      if (stream.status === 'open') stream.send(bytes)
    }
    const channel = openWorkerChannel(stream, {
      log: node.libp2p.logger.forComponent('evil'),
      onClose: () => {},
      onMessage: message => {
        if (message.t !== 'lease') return
        process.stdout.write(`${JSON.stringify({ event: 'leased', slices: message.slices.length })}\n`)
        if (mode === 'garbage') write(randomBytes(1000))
        const results = message.slices.map(({ id, inputs }) => ({
          id: mode === 'strangers' ? id + 1_000_000 : id,
          ms: 0,
          signature: randomBytes(64),
          outcomes: inputs.map(() => new Uint8Array(0))
        }))
        if (mode === 'empty' || mode === 'strangers') {
          void channel.send({ t: 'result', slices: results })
          void channel.send({ t: 'result', slices: results })
        }
      }
    })
    void channel.send(offer)
  },
  { maxInboundStreams: 8 }
)
node.directory.announce(COMPUTE_SERVICE)
process.stdout.write(
  `${JSON.stringify({ event: 'ready', id: node.id, addresses: node.addresses(), pid: process.pid })}\n`
)
