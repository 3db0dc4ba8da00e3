import { deepEqual, equal, rejects } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { falBodyOf } from '../../../services/assistant/provider/fal.ts'
import { provider as schema } from '../../../services/assistant/provider/provider.ts'
import { createSend } from '../../../services/assistant/provider/send.ts'
import { until } from '../../bootstrap/nodes.ts'

const KEY = 'fal-canary-81'
const IMAGE = Buffer.from('an image').toString('base64')

/** fal's queue on loopback; an image is drawn when it was looked at so many times. */
async function openFal({ looks = 2, elsewhere = false, failing = 0 } = {}) {
  const asked: { method: string; path: string; body?: unknown }[] = []
  let seen = 0
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const { method, url: path } = request as { method: string; url: string }
    asked.push({ method, path, ...(text === '' ? {} : { body: JSON.parse(text) }) })
    const json = (value: unknown, status = 200): void => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(value))
    }
    if (request.headers.authorization !== `Key ${KEY}`) return json({ detail: 'no' }, 401)
    const queue = `${elsewhere ? 'http://127.0.0.1:9' : url}/fal-ai/flux/requests/7`
    if (method === 'POST')
      return json({
        request_id: '7',
        status_url: `${queue}/status`,
        response_url: queue,
        cancel_url: `${queue}/cancel`
      })
    if (method === 'GET' && failing-- > 0) return json({ detail: 'not now' }, 502)
    if (path.endsWith('/status')) {
      seen++
      return json({ status: seen > looks ? 'COMPLETED' : seen === 1 ? 'IN_QUEUE' : 'IN_PROGRESS' })
    }
    if (path.endsWith('/cancel')) return json({ status: 'CANCELLATION_REQUESTED' }, 202)
    json({
      images: [{ url: `data:image/png;base64,${IMAGE}` }, { url: 'https://fal.example/2.png' }],
      seed: 1
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const models = [{ id: 'flux', upstream: 'fal-ai/flux/schnell', use: 'images', perImage: '3000' }]
  const { send, close } = createSend({ read: async () => KEY }, Date.now, { lookMs: 50 })
  const provider = schema.parse({ kind: 'fal', url, secret: 'fal', models })
  const route = { name: 'fal', provider, model: provider.models[0]! }
  return {
    asked,
    draw: (body: Record<string, unknown>, signal = new AbortController().signal) =>
      send(route, '/images/generations', body, signal),
    async [Symbol.asyncDispose]() {
      await close()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

describe('assistant: images by fal’s queue', function () {
  this.timeout(60_000)

  it('are asked for in its words, looked for until they are drawn, and fetched', async () => {
    await using fal = await openFal()
    const reply = await fal.draw({ model: 'flux', prompt: 'a cat', n: 2, size: '1024x768', seed: 1 })
    const { whole } = reply as { whole: { data: unknown } }
    deepEqual(whole.data, [{ b64_json: IMAGE }, { url: 'https://fal.example/2.png' }])
    const queue = '/fal-ai/flux/requests/7'
    deepEqual(
      fal.asked.map(({ method, path }) => `${method} ${path}`),
      [
        'POST /fal-ai/flux/schnell',
        `GET ${queue}/status`,
        `GET ${queue}/status`,
        `GET ${queue}/status`,
        `GET ${queue}`
      ]
    )
    deepEqual(fal.asked[0]!.body, {
      prompt: 'a cat',
      seed: 1,
      num_images: 2,
      image_size: { width: 1024, height: 768 },
      sync_mode: true
    })
    deepEqual(falBodyOf({ prompt: 'x', response_format: 'url', user: 'u', size: 'auto' }), {
      prompt: 'x',
      sync_mode: false
    })
    // as many as are paid for
    for (const body of [{ num_images: 50 }, { n: '50' }]) deepEqual(falBodyOf(body), { sync_mode: true })
  })

  it('are asked for once, though looks for them fail', async () => {
    await using fal = await openFal({ looks: 0, failing: 2 })
    await fal.draw({ prompt: 'a cat' })
    deepEqual(
      fal.asked.map(({ method }) => method),
      ['POST', 'GET', 'GET', 'GET', 'GET']
    )
  })

  it('are taken out of the queue by who leaves', async () => {
    await using fal = await openFal({ looks: Number.POSITIVE_INFINITY })
    const leaving = new AbortController()
    const drawn = fal.draw({ prompt: 'a cat' }, leaving.signal)
    const isAsked = (end: string) => fal.asked.some(({ path }) => path.endsWith(end))
    const refused = rejects(drawn, /gone/)
    await until(() => isAsked('/status'), 'a look')
    leaving.abort(new Error('gone'))
    await refused
    await until(() => isAsked('/cancel'), 'the end of it')
  })

  it('show the key to nobody else, whatever an answer names', async () => {
    await using fal = await openFal({ elsewhere: true })
    await rejects(fal.draw({ prompt: 'a cat' }), /no status_url of its own/)
    equal(fal.asked.length, 1)
  })
})
