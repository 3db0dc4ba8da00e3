import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from '../../node/sdk/index.ts'
import { messenger, placeOf } from '../../services/index.ts'

describe('SDK: operations under an Idempotency-Key', () => {
  let server: Server
  /** keys of the tries, in their order; each first one gets no answer */
  let keys: (string | undefined)[]

  before(async () => {
    const { send, report } = messenger.operations
    const items = [placeOf('messenger', 'send', send), placeOf('messenger', 'report', report)]
    server = createServer((req: IncomingMessage, res) => {
      res.setHeader('content-type', 'application/json')
      if (req.method === 'GET') return res.end(JSON.stringify({ items }))
      const key = req.headers['idempotency-key'] as string | undefined
      const isFirst = !keys.includes(key)
      keys.push(key)
      if (isFirst) req.socket.destroy()
      else res.end(JSON.stringify({ id: 'f'.repeat(64) }))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  after(() => server.close())
  beforeEach(() => {
    keys = []
  })

  it('what was done and not answered is asked for again under the same key, and what has none is not', async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await using artel = await connect({ url, token: 'artel_test' })
    const message = { group: '0'.repeat(64), text: 'once' }
    await artel.services.messenger.send(message)
    const [own, ...again] = keys
    assert.ok(own != null && again.length > 0)
    assert.deepEqual([...new Set(again)], [own])
    keys = []
    await artel.services.messenger.send({ ...message, key: 'mine' })
    assert.deepEqual([...new Set(keys)], ['mine'])
    await artel.services.messenger.send(message)
    assert.notEqual(keys.at(-1), own, 'another call is another message')
    keys = []
    const report = artel.services.messenger.report({ message: '0'.repeat(64), reason: 'x' })
    await assert.rejects(report, { name: 'ControlError' })
    assert.deepEqual(keys, [undefined])
  })
})
