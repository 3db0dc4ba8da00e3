import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectControl, createOperations, serveControl } from '../../node/index.ts'
import { encodeValue } from '../../sandbox/index.ts'
import { OWN_GROUPS } from '../../services/index.ts'
import { until } from '../bootstrap/nodes.ts'

describe('control socket', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-control-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('goes on when a client vanishes before its answers are written', async () => {
    const answers: (() => void)[] = []
    const operations = {
      // the first two wait until the client has gone
      encodedCall: () =>
        new Promise<Uint8Array>(resolve => {
          if (answers.length === 2) return resolve(encodeValue('here'))
          answers.push(() => resolve(encodeValue('x'.repeat(1 << 20))))
        })
    }
    const close = await serveControl(folder, operations)
    try {
      const socket = createConnection(join(folder, 'control.sock'))
      await once(socket, 'connect')
      const input = Buffer.from(encodeValue({})).toString('base64')
      const request = { service: 'settings', operation: 'metrics', input }
      for (const id of [1, 2]) socket.write(`${JSON.stringify({ id, ...request })}\n`)
      await until(() => answers.length === 2, 'both requests came')
      // in the same turn, so that the server has not yet noticed when it writes
      socket.destroy()
      for (const answer of answers) answer()
      const client = await connectControl(folder)
      assert.equal(await client.settings.metrics(), 'here')
      client.close()
    } finally {
      await close()
    }
  })

  it('takes texts with any character, and of any length', async () => {
    const text = `a\u2028b\u2029c\rd\u0085${'é'.repeat(100_000)}`
    const operations = {
      encodedCall: async ({ input }: { input: unknown }) => {
        if (Object.hasOwn(Object(input), 'spec')) return encodeValue(input)
        throw new Error(text)
      }
    }
    const close = await serveControl(folder, operations)
    const client = await connectControl(folder)
    try {
      const within = { signal: AbortSignal.timeout(60_000) }
      assert.deepEqual(await client.compute.quote({ spec: text }, within), { spec: text })
      // a message stands in the line as it is, where JSON lets U+2028 stand
      await assert.rejects(client.compute.job({ id: 'none' }, within), { message: text })
    } finally {
      client.close()
      await close()
    }
  })

  it('passes a result on as the bytes that it lies in', async () => {
    const canonical = encodeValue([1n, 'two'])
    const services = { groups: OWN_GROUPS, call: async () => ({ canonical }) }
    const operations = createOperations({ services: services as never })
    const request = { service: 'compute', operation: 'result', input: { id: 'a' } }
    assert.equal(await operations.encodedCall(request), canonical)
    const close = await serveControl(folder, operations)
    const client = await connectControl(folder)
    try {
      assert.deepEqual(await client.compute.result({ id: 'a' }), [1n, 'two'])
      assert.deepEqual(await operations.compute.result({ id: 'a' }), [1n, 'two'])
    } finally {
      client.close()
      await close()
    }
  })

  it('says where in the input the value is that cannot travel', async () => {
    const close = await serveControl(folder, { encodedCall: async () => encodeValue('never') })
    const client = await connectControl(folder)
    try {
      const list: unknown[] = [1]
      list.push(list)
      const spec = { type: 'map', items: [{ list }], fn: 'x => x' }
      await assert.rejects(client.compute.submit({ spec }), {
        name: 'ValueError',
        message: 'spec.items.0.list.1: is cyclic: it is spec.items.0.list again'
      })
    } finally {
      client.close()
      await close()
    }
  })
})
