import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { groupCommand } from '../../../node/cli/service-commands.ts'
import { connectControl, serveControl } from '../../../node/control.ts'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { createOperations } from '../../../node/operations.ts'
import { connect } from '../../../node/sdk/index.ts'
import { base64, bytes, declare, micro, operation, service } from '../../../services/index.ts'
import { until } from '../../integration/processes.ts'

const declaration = declare({
  name: 'shop',
  version: 1,
  summary: 'sells things',
  operations: {
    buy: operation({
      summary: 'Buy a thing',
      input: z.strictObject({
        thing: z.string().max(20).describe('which'),
        count: z.int().min(1).default(1).describe('how many'),
        colors: z.array(z.string()).optional()
      }),
      output: z.object({ price: micro, seal: base64, colors: z.array(z.string()) }),
      progress: z.object({ step: z.int() }),
      http: { method: 'POST', path: '/shop/:thing' },
      scope: 'shop:write',
      command: { arguments: ['thing'], examples: ['shop buy lamp --count 2'] }
    }),
    look: operation({
      summary: 'Look at the shelf',
      input: z.strictObject({ only: z.boolean().default(false), most: z.int().max(9).default(3) }),
      output: z.object({ items: z.array(z.object({ thing: z.string(), left: z.int() })) }),
      http: { method: 'GET', path: '/shop' },
      scope: 'shop:read'
    }),
    picture: operation({
      summary: 'A picture, or a part of it',
      input: z.strictObject({ range: z.string().optional() }),
      output: bytes,
      http: { method: 'GET', path: '/shop/picture', headers: { range: 'range' } },
      scope: 'shop:read'
    }),
    deliver: operation({
      summary: 'Bring bytes',
      input: z.strictObject({ label: z.string() }),
      output: z.object({ size: z.int(), label: z.string() }),
      http: { method: 'PUT', path: '/shop/deliveries', body: 'bytes', bodyBytes: 1 << 30, status: 201 },
      scope: 'shop:write'
    }),
    slow: operation({
      summary: 'Never ends',
      input: z.strictObject({}),
      output: z.object({}),
      http: { method: 'GET', path: '/shop/slow' },
      scope: 'shop:read',
      deadlineMs: 100
    })
  }
})

const shop = service(declaration, async () => host => ({
  operations: {
    async buy({ thing, count, colors = [] }, { send }) {
      if (thing === 'boom') throw new Error('the shelf fell')
      await send({ step: 1 })
      host.tell('sold', { thing, price: 5n })
      return { price: 12345678901234567890n * BigInt(count), seal: Uint8Array.of(1, 255), colors }
    },
    look: ({ only, most }) => ({ items: [{ thing: String(only), left: most }] }),
    picture: ({ range }) => ({
      chunks: (async function* () {
        yield Buffer.from(range ?? 'whole')
      })(),
      type: 'image/png',
      ...(range == null ? {} : { status: 206 })
    }),
    async deliver({ label }, { body }) {
      let size = 0
      for await (const chunk of body) size += chunk.length
      return { size, label }
    },
    slow: () => new Promise(() => {})
  }
}))

/** Wrong in every way that a service can be. */
const broken = service({ name: 'broken', version: 1, summary: 'throws', operations: {} }, async () => () => {
  throw new Error('it was dropped')
})

describe('services: the faces of an operation', () => {
  let folder: string
  let node: ArtelNode
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-faces-'))
    const flags = {
      data: folder,
      logLevel: 'silent',
      'gateway.enabled': true,
      'gateway.port': 0,
      compute: false
    }
    node = await createNode(loadConfig({ environment: {}, flags }), {
      role: 'seed',
      services: [broken, shop]
    })
  })
  after(async () => {
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** What fails is started again after growing waits: the services as they are between two starts. */
  const settled = <T extends { state: string }>(look: () => Promise<T[]>): Promise<T[]> =>
    until('no service is starting', async () => {
      const services = await look()
      return services.every(({ state }) => state !== 'starting') ? services : undefined
    })
  const call = (path: string, init: RequestInit = {}, token = node.gateway!.token) =>
    fetch(`${node.gateway!.url}/api/v1${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...init.headers }
    })
  const made = async (scopes: string[]): Promise<string> => {
    const answer = await call('/tokens', { method: 'POST', body: JSON.stringify({ name: 't', scopes }) })
    return ((await answer.json()) as { token: string }).token
  }

  it('HTTP: path, query, body and headers make the input; bigint and bytes are text', async () => {
    const bought = await call('/shop/lamp', { method: 'POST', body: '{"count":2,"colors":["red"]}' })
    equal(bought.status, 200)
    deepEqual(await bought.json(), { price: '24691357802469135780', seal: 'Af8=', colors: ['red'] })
    deepEqual(await (await call('/shop?only=true&most=7')).json(), { items: [{ thing: 'true', left: 7 }] })
    const part = await call('/shop/picture', { headers: { range: 'bytes=0-1' } })
    deepEqual(
      [part.status, part.headers.get('content-type'), await part.text()],
      [206, 'image/png', 'bytes=0-1']
    )
    const brought = await call('/shop/deliveries?label=a', { method: 'PUT', body: new Uint8Array(3_000_000) })
    deepEqual([brought.status, await brought.json()], [201, { size: 3_000_000, label: 'a' }])
  })

  it('HTTP: progress as server-sent events', async () => {
    const answer = await call('/shop/lamp', {
      method: 'POST',
      body: '{}',
      headers: { accept: 'text/event-stream' }
    })
    match(
      await answer.text(),
      /^event: progress\ndata: \{"step":1\}\n\nevent: result\ndata: \{"price":"12345678901234567890"/
    )
  })

  it('HTTP: wrong input, foreign scopes and lateness are problems by name', async () => {
    const title = async (answer: Response) => [
      answer.status,
      ((await answer.json()) as { title: string }).title
    ]
    deepEqual(await title(await call('/shop?most=x')), [400, 'RequestError'])
    deepEqual(await title(await call('/shop?most=1&most=2')), [400, 'RequestError'])
    deepEqual(await title(await call('/shop/lamp', { method: 'POST', body: '[]' })), [400, 'RequestError'])
    deepEqual(await title(await call('/shop/slow')), [504, 'OverdueError'])
    deepEqual(await title(await call('/shop', {}, await made(['read', 'submit', 'credits']))), [
      403,
      'ForbiddenError'
    ])
    deepEqual(await title(await call('/shop/l', { method: 'POST', body: '{}' }, await made(['shop:read']))), [
      403,
      'ForbiddenError'
    ])
    equal((await call('/shop', {}, await made(['shop:write']))).status, 200)
  })

  it('OpenAPI describes them', async () => {
    const document = (await (await fetch(`${node.gateway!.url}/openapi.json`)).json()) as any
    const buy = document.paths['/api/v1/shop/{thing}'].post
    equal(buy.operationId, 'shop_buy')
    match(buy.description, /Scope: `shop:write`.*Ends within 30 s/)
    deepEqual(
      buy.parameters.map((each: any) => [each.in, each.name]),
      [['path', 'thing']]
    )
    equal(buy.responses[200].content['application/json'].schema.properties.price.type, 'string')
    ok(document.paths['/api/v1/shop'].get.parameters.some((each: any) => each.name === 'most'))
  })

  it('SDK: methods by name; what was bigint or bytes is so again', async () => {
    await using artel = await connect({ url: node.gateway!.url!, token: node.gateway!.token! })
    const { shop } = artel.services as any
    deepEqual(await shop.buy({ thing: 'a lamp', count: 1 }), {
      price: 12345678901234567890n,
      seal: Uint8Array.of(1, 255),
      colors: []
    })
    deepEqual(await shop.look({ most: 2 }), { items: [{ thing: 'false', left: 2 }] })
    deepEqual(await shop.deliver({ label: 'b' }, { body: 'four' }), { size: 4, label: 'b' })
    const steps: unknown[] = []
    await shop.buy({ thing: 'a lamp' }, { onProgress: (step: unknown) => steps.push(step) })
    deepEqual(steps, [{ step: 1 }])
    await rejects(shop.buy({ thing: 'a lamp', count: 0 }), { name: 'RequestError', status: 400 })
    await rejects(shop.look({ most: 10 }), { name: 'RequestError' })
    await rejects(shop.none({}), { name: 'UnknownOperationError' })
  })

  it('command line and control socket', async () => {
    const close = await serveControl(folder, createOperations(node))
    const client = await connectControl(folder)
    try {
      const progress: unknown[] = []
      const call = { service: 'shop', operation: 'buy', input: { thing: 'lamp' } }
      const answer = await client.call(call, {
        onProgress: step => progress.push(step),
        signal: AbortSignal.timeout(60_000)
      })
      deepEqual(answer, { price: 12345678901234567890n, seal: Uint8Array.of(1, 255), colors: [] })
      deepEqual(progress, [{ step: 1 }])
      deepEqual(
        (await settled(async () => (await client.network.services({ find: false })).here)).map(
          ({ service, state, reason }) => [service, state, reason]
        ),
        [
          ['compute', 'running', undefined],
          ['broken', 'failed', 'it was dropped'],
          ['shop', 'degraded', 'shop.slow: shop.slow took more than 100 ms']
        ]
      )
    } finally {
      client.close()
      await close()
    }
    const command = groupCommand(shop)
    deepEqual(
      command.commands.map(each => each.name()),
      ['buy', 'look', 'slow']
    )
    const help = command.commands[0]!.helpInformation()
    match(help, /buy \[options\] <thing>/)
    match(help, /--count <number> +how many \(default: 1\)/)
  })

  it('health says to everybody how services are, and why to who may read', async () => {
    const health = async (init: RequestInit) => {
      const services: any[] = await settled(
        async () => ((await (await fetch(`${node.gateway!.url}/health`, init)).json()) as any).services
      )
      return services.find(({ service }: { service: string }) => service === 'broken')
    }
    const stranger = await health({})
    deepEqual([stranger.state, stranger.reason], ['failed', undefined])
    equal(
      (await health({ headers: { authorization: `Bearer ${node.gateway!.token}` } })).reason,
      'it was dropped'
    )
    const known = (await (await call('/services?find=false')).json()) as any
    deepEqual([known.items, known.here.length], [[], 3])
  })
})
