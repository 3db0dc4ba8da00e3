import { strict as assert } from 'node:assert'
import type { StreamHandler } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import type { FromRequester, LeasedSlice, LoadMessage } from '../../scheduler/protocol/compute-messages.ts'
import { UNCOUNTED } from '../../scheduler/protocol/peer-costs.ts'
import { createOutbox } from '../../scheduler/streams/lease-outbox.ts'
import { createLinks, type Link } from '../../scheduler/streams/worker-links.ts'

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

describe('scheduler: what one step decides', () => {
  it('is sent so that the slices of a program come before the next program', () => {
    const sent: string[] = []
    const loaded = new Set(['old'])
    const link = {
      load({ program }: LoadMessage) {
        loaded.add(program)
        sent.push(`load ${program}`)
      },
      loaded: (program: string) => loaded.has(program),
      send(message: FromRequester) {
        if (message.t === 'lease') sent.push(message.slices.map(({ id }) => id).join())
        else sent.push(message.t)
      }
    }
    const outbox = createOutbox(() => link as unknown as Link)
    const slice: LeasedSlice = { id: 0, program: '', inputs: [], expectedMs: 1, job: 'j', price: 0 }
    for (const [id, program] of ['old', 'a', 'old', 'a', 'b', 'a'].entries())
      outbox.lease('worker', { load: { program } as LoadMessage }, { ...slice, id, program })
    outbox.revoke('worker', 9)
    outbox.flush()
    assert.deepEqual(sent, ['revoke', '0', 'load a', '1,2,3', 'load b', '4,5'])
  })
})
