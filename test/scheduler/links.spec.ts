import { strict as assert } from 'node:assert'
import type { StreamHandler } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'
import { createLinks } from '../../scheduler/streams/worker-links.ts'

const peer = (name: string) => ({ toString: () => name, equals: () => false }) as never

describe('scheduler: a stream that ends with the first message', () => {
  it('costs nothing but itself: the worker learns that its requester is gone', async () => {
    let serve: StreamHandler | undefined
    const closed: string[] = []
    const links = createLinks(
      { events: { message: () => {}, gone: () => {} } },
      {
        network: {
          peerId: peer('me'),
          handle: async (_: string, handler: StreamHandler) => {
            serve = handler
          },
          unhandle: async () => {},
          register: async () => 'id',
          unregister: () => {},
          getConnections: () => []
        } as never,
        worker: {
          connect(id, send) {
            send({ t: 'alive' })
            return { receive: () => {}, close: () => closed.push(id) }
          }
        },
        costs: UNCOUNTED,
        logger: defaultLogger()
      }
    )
    await links.start()
    try {
      const stream = Object.assign(new EventTarget(), {
        send() {
          throw new Error('connection reset')
        },
        abort: () => {},
        close: async () => {}
      })
      serve!(stream as never, { remotePeer: peer('stranger') } as never)
      assert.deepEqual(closed, ['stranger'])
    } finally {
      await links.stop()
    }
  })
})
