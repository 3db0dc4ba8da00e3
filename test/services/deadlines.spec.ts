import { strict as assert } from 'node:assert'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import fastify from 'fastify'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { verdict } from '../../node/errors.ts'
import { keepDeadlines } from '../../services/gateway/http/deadline.ts'
import { problemOf } from '../../services/gateway/http/problem.ts'
import { TestGateway } from './gateway-node.ts'

describe('services: deadlines of the gateway', function () {
  this.timeout(600_000)

  it('answers OverdueError where a route has not begun by then, and leaves alone what has', async () => {
    const app = fastify()
    keepDeadlines(app)
    app.setErrorHandler((error: Error, _, reply) =>
      reply.code(verdict(error).status).send(problemOf(error, verdict))
    )
    const [config, slow] = [{ deadlineMs: 50 }, { deadlineMs: 5_000 }]
    for (const method of ['GET', 'POST'])
      app.route({ method, url: '/never', config, handler: () => new Promise(() => {}) })
    app.get('/slow', { config: slow }, async (_, reply) => {
      const pages = async function* () {
        yield 'one '
        await delay(5_200)
        yield 'two'
      }
      return reply.send(Readable.from(pages()))
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as { port: number }
    const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init)
    const json = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }
    for (const init of [undefined, json]) {
      const answer = await ask('/never', init)
      assert.equal(answer.status, 504)
      assert.equal(((await answer.json()) as { title: string }).title, 'OverdueError')
    }
    assert.equal(await (await ask('/slow')).text(), 'one two')
    await app.close()
  })

  it('has one for every route, which its description names', async () => {
    await using gateway = await TestGateway.start()
    for (const [path, methods] of Object.entries(gateway.document.paths))
      for (const [method, { description, 'x-deadline-ms': ms }] of Object.entries(methods)) {
        // the longest: a machine that moves to another host takes its disks along
        assert.ok(ms > 0 && ms <= 24 * 3_600_000, `${method} ${path}: ${ms}`)
        assert.match(description, new RegExp(`(Answers|Ends) within ${ms / 1000} s`), `${method} ${path}`)
      }
    // data that nobody has
    const cid = CID.createV1(raw.code, await sha256.digest(Buffer.from('nobody has this'))).toString()
    const { description } = gateway.document.paths['/api/v1/data/{cid}']!.get
    const seconds = Number(/within (\d+) s is missing/.exec(description)![1])
    assert.ok(seconds <= 10, description)
    const answer = await gateway.call('GET /api/v1/data/{cid}', { params: { cid } })
    assert.equal(answer.status, 404)
    assert.deepEqual([answer.body.title, answer.body.cid], ['DataMissingError', cid])
  })
})
