import { strict as assert } from 'node:assert'
import type { StreamHandler } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'
import { createLinks } from '../../scheduler/streams/worker-links.ts'

const peer = (name: string) => ({ toString: () => name, equals: () => false }) as never

function open(onServe: (handler: StreamHandler) => void = () => {}) {
  const closed: string[] = []
  const links = createLinks(
    { events: { message: () => {}, gone: () => {} } },
    {
      network: {
        peerId: peer('me'),
        handle: async (_: string, handler: StreamHandler) => onServe(handler),
        unhandle: async () => {},
        register: async () => 'id',
        unregister: () => {},
        getConnections: () => []
      } as never,
      worker: {
        connect(id, send) {
          if (id !== 'me') send({ t: 'alive' })
          return { receive: () => {}, close: () => closed.push(id) }
        }
      },
      costs: UNCOUNTED,
      logger: defaultLogger()
    }
  )
  return { links, closed }
}

describe('scheduler: a stream that ends with the first message', () => {
  it('costs nothing but itself: the worker learns that its requester is gone', async () => {
    let serve: StreamHandler | undefined
    const { links, closed } = open(handler => {
      serve = handler
    })
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

describe('scheduler: answers to leases', () => {
  const lease = (id: number) => ({ id, program: 'p', inputs: [], expectedMs: 1, job: 'j', price: 0 })

  it('are owed once for each slice that was leased, however late', async () => {
    const { links } = open()
    await links.start()
    try {
      const link = links.get('me')!
      assert.equal(link.settle(1), false)
      link.send({ t: 'lease', slices: [1, 2, 3].map(lease) })
      assert.equal(link.settle(2), true)
      assert.equal(link.settle(1), true)
      assert.equal(link.settle(1), false)
    } finally {
      await links.stop()
    }
  })
})
