import assert, { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createIdentity } from '../../../bootstrap/index.ts'
import { answerTo, openProvider } from '../../../node/demo/provider.ts'
import { startFlight } from '../../../services/assistant/flight.ts'
import { provider } from '../../../services/assistant/provider/provider.ts'
import { createKeep } from '../../../services/assistant/trade/keep.ts'
import { createSell } from '../../../services/assistant/trade/sell.ts'
import { assistant, type Bytes, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'
import { KEY } from './assistant-node.ts'

interface Paid {
  type: 'transfer'
  seq: number
  time: number
  from: string
  to: string
  amount: bigint
  memo: string
}

const PRICES = { inputPerMillion: '1000000', outputPerMillion: '2000000', maxOutputTokens: 100 }

describe('assistant: answers that are sold to another node', function () {
  this.timeout(600_000)
  const started = new AsyncDisposableStack()
  /** what the witnesses have certified */
  const history: Paid[] = []
  let source: Awaited<ReturnType<typeof openProvider>>
  let seller: Node
  let buyer: Node

  before(async () => {
    source = started.use(await openProvider(KEY))
    const [sells, buys] = [await createIdentity(), await createIdentity()]
    const [to, from] = [sells, buys].map(({ peerId }) => peerId.toString()) as [string, string]
    const models = [
      { id: 'm', ...PRICES },
      { id: 'e', use: 'embeddings', inputPerMillion: '1000000' }
    ]
    // what everybody may spend who is known here is not for other nodes
    seller = await startNode(sells, { allowedPeers: [from], buyers: [from], quotaCredits: 10 })
    buyer = await startNode(buys, { quotaCredits: 10 })
    await seller.host.connect(buyer.host)
    // where the seller is found again
    const { peerId } = seller.host.libp2p
    await buyer.host.libp2p.peerStore.merge(peerId, { multiaddrs: seller.host.libp2p.getMultiaddrs() })
    await seller.call('secret', { name: 'key', value: KEY })
    const named = { kind: 'openai', url: source.url, secret: 'key' }
    await seller.call('put', { name: 'own', provider: { ...named, isSold: true, models } })
    const secret = { ...named, models: [{ id: 'mine', ...PRICES }] }
    await seller.call('put', { name: 'not-sold', provider: secret })
    const all = ['m', 'mine'].map(id => ({ id, ...PRICES }))
    const bought = {
      kind: 'peer',
      peer: to,
      models: [...all, { ...models[1], id: 'vectors', upstream: 'e' }]
    }
    await buyer.call('put', { name: 'bought', provider: bought })
  })
  after(() => started.disposeAsync())

  type Node = Awaited<ReturnType<typeof startNode>>
  async function startNode(identity: Awaited<ReturnType<typeof createIdentity>>, settings: object) {
    const self = identity.peerId.toString()
    const ledger = {
      history: () => history.filter(({ from, to }) => [from, to].includes(self)),
      reputation: () => ({ score: 0 }),
      async transfer(to: string, amount: bigint, { memo }: { memo: string }) {
        history.push({ type: 'transfer', seq: history.length, time: 0, from: self, to, amount, memo })
      }
    }
    const host = started.use(
      await startHost({
        modules: [assistant],
        identity,
        capabilities: { ledger: ledger as never },
        settings: { assistant: { ...settings } }
      })
    )
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T>(operation: string, input: object = {}, body?: object, signal?: AbortSignal) =>
      host.services.call('assistant', operation, input, {
        caller: OWNER,
        signal,
        ...(body == null ? {} : { body: [Buffer.from(JSON.stringify(body))] as never })
      }) as Promise<T>
    return {
      self,
      host,
      call,
      async account(id: string) {
        const { items } = await call<{
          items: { id: string; spent: bigint; held: bigint; quota?: bigint }[]
        }>('users')
        return items.find(each => each.id === id)
      }
    }
  }
  async function ask(content: string, more: object = {}) {
    const body = { model: 'm', messages: [{ role: 'user', content }], ...more }
    const { status, chunks, headers } = await buyer.call<Bytes>('chat', {}, body)
    return { status, headers, text: Buffer.concat(await Array.fromAsync(chunks)).toString() }
  }
  const pay = (credits: bigint) => buyer.call('pay', { to: seller.self, credits: String(credits) })
  const left = async () => (await buyer.call<{ left: bigint }>('seller', { peer: seller.self })).left

  it('are for who has paid: what was paid is counted once, and what was answered is charged to the micro-credit', async () => {
    const unpaid = await ask('too early')
    deepEqual([unpaid.status, JSON.parse(unpaid.text).error.code], [502, 'provider_refused'])
    equal(source.calls, 0)
    // of somebody else, and for something else
    const other = { type: 'transfer', time: 0, to: seller.self, amount: 1_000_000n } as const
    history.push(
      { ...other, seq: 7, from: 'another', memo: 'assistant' },
      { ...other, seq: 8, from: buyer.self, memo: 'vm 1' }
    )
    equal(await left(), 0n)
    await pay(5_000n)
    await pay(5_000n)

    const { status, text, headers } = await ask('paid')
    equal(status, 200, text)
    const { choices, usage, model } = JSON.parse(text)
    deepEqual([choices[0].message.content, model], [answerTo('paid'), 'm'])
    const cost = BigInt(usage.prompt_tokens + 2 * usage.completion_tokens)
    equal(headers!['artel-cost'], String(cost))
    equal(await left(), 10_000n - cost)
    equal(await left(), 10_000n - cost)
    const { spent, quota } = (await seller.account(`peer-${buyer.self}`))!
    deepEqual([spent, quota], [cost, 10_000n])
  })

  it('are for all who ask at once after a payment, whichever of them counts it', async () => {
    let left = 0n
    const counted = new Set<number>()
    const paid = { type: 'transfer', seq: 1, from: 'buyer', to: 'seller', amount: 3n, memo: 'assistant 1' }
    const {
      handlers: { buy },
      book
    } = createSell({
      host: {
        config: { buyers: ['buyer'] },
        peers: { self: 'seller' },
        wanted: { ledger: { history: () => [paid, { ...paid, from: 'stranger', seq: 2 }] } }
      } as never,
      credits: {
        left: () => left,
        book(_, seq, amount) {
          if (counted.has(seq)) return false
          counted.add(seq)
          left += amount
          return true
        }
      },
      providers: { routes: () => [] },
      see: ({ id }) => id,
      async answer() {
        const status = left > 0n ? 200 : 402
        if (status === 200) left--
        return { status, chunks: [] as never }
      }
    })
    const said: unknown[] = []
    const ask = { use: 'chat', body: Buffer.from('{}') } as const
    const { signal } = new AbortController()
    const call = { peer: 'buyer', signal, send: async (item: object) => void said.push(item) } as never
    await Promise.all([1, 2, 3, 4].map(() => buy(ask, call)))
    deepEqual(said.map(item => (item as { status: number }).status).toSorted(), [200, 200, 200, 402])
    // regularly, too: nothing is counted twice, and nobody else's
    book()
    deepEqual([...counted], [1])
  })

  it('come piece by piece, and as embeddings', async () => {
    const { text } = await ask('streamed', { stream: true, stream_options: { include_usage: true } })
    const events = text
      .split('\n\n')
      .flatMap(event => (event.startsWith('data: {') ? [JSON.parse(event.slice(6))] : []))
    equal(events.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), answerTo('streamed'))
    ok(events.at(-1).usage.completion_tokens > 0)
    ok(text.trimEnd().endsWith('data: [DONE]'))
    const { whole } = await buyer.call<Bytes>('embed', {}, { model: 'vectors', input: ['text'] })
    deepEqual(JSON.parse(Buffer.from(whole!).toString()).data[0].embedding, [4, 0.5, -0.25, 116])
  })

  it('are kept by the buyer, and asked for again of the provider where he does not', async () => {
    const calls = source.calls
    for (const more of [{ temperature: 0 }, { temperature: 0 }]) await ask('kept', more)
    equal(source.calls, calls + 1)
    await buyer.call<Bytes>(
      'chat',
      { cacheControl: 'no-store' },
      { model: 'm', temperature: 0, messages: [{ role: 'user', content: 'kept' }] }
    )
    equal(source.calls, calls + 2)
  })

  it('are of what is sold alone, and an error of the provider is told by name', async () => {
    const { models } = await buyer.call<{ models: { id: string; outputPerMillion: bigint }[] }>('seller', {
      peer: seller.self
    })
    deepEqual(
      models.map(({ id, outputPerMillion }) => [id, outputPerMillion]),
      [
        ['m', 2_000_000n],
        ['e', 0n]
      ]
    )
    const mine = await ask('not for you', { model: 'mine' })
    deepEqual([mine.status, JSON.parse(mine.text).error.code], [404, 'model_not_found'])
    source.faults.push({ status: 400, code: 'context_length_exceeded' })
    const long = await ask('long')
    deepEqual([long.status, JSON.parse(long.text).error.code], [400, 'context_length_exceeded'])
    source.faults.push('cut')
    const { text } = await ask('cut', { stream: true })
    match(text, /"error"/)
    ok(!text.includes('[DONE]') && !text.includes(KEY))
    const problem = (more: object) => {
      const models = [{ id: 'm' }]
      return provider.safeParse({ kind: 'peer', peer: 'x', models, ...more }).error?.issues[0]?.path[0]
    }
    deepEqual(
      [
        {},
        { peer: undefined },
        { isSold: true },
        { url: 'http://x.example' },
        { models: [{ id: 'm', use: 'images' }] }
      ].map(problem),
      [undefined, 'peer', 'isSold', 'url', 'models']
    )
  })

  it('come again where they are lost on their way, and are charged once', async () => {
    const lose = (): void => {
      for (const connection of buyer.host.libp2p.getConnections()) connection.abort(new Error('lost'))
    }
    source.pieceMs = 100
    try {
      const before = await left()
      const { calls } = source
      const whole = ask('whole')
      await until(() => source.calls === calls + 1, 'the provider is asked')
      lose()
      const { status, text, headers } = await whole
      equal(status, 200, text)
      equal(JSON.parse(text).choices[0].message.content, answerTo('whole'))
      equal(source.calls, calls + 1)
      equal(await left(), before - BigInt(headers!['artel-cost']!))

      const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'in pieces' }] }
      const { chunks } = await buyer.call<Bytes>('chat', {}, body)
      let events = ''
      for await (const chunk of chunks) {
        if (events === '') lose()
        events += Buffer.from(chunk)
      }
      const said = events
        .split('\n\n')
        .flatMap(event => (event.startsWith('data: {') ? [JSON.parse(event.slice(6))] : []))
      equal(said.map(({ choices }) => choices[0].delta.content ?? '').join(''), answerTo('in pieces'))
      ok(events.trimEnd().endsWith('data: [DONE]'))
      equal(source.calls, calls + 2)
    } finally {
      source.pieceMs = 0
    }
  })

  it('are kept for a while, without a reader too, and end where nobody comes back for them', async () => {
    const keep = createKeep(50)
    const ended = Promise.withResolvers<unknown>()
    const begin = () =>
      startFlight(async (put, signal) => {
        for (const text of 'abc') put({ text })
        signal.addEventListener('abort', () => ended.resolve(signal.reason))
        await ended.promise
        throw signal.reason
      })
    const first = keep.join('key', begin)
    equal((await first.pieces().next()).value.text, 'a')
    const again = keep.join('key', () => assert.fail('a second one'))
    first.leave()
    equal((await again.pieces(2).next()).value.text, 'c')
    ok(keep.has('key'))
    again.whole.catch(() => {})
    again.leave()
    await ended.promise
    await until(() => !keep.has('key'), 'it is kept no more')
  })

  it('end at the provider when who asks at the buyer leaves', async () => {
    source.pieceMs = 60_000
    try {
      for (const stream of [true, false]) {
        const { calls, left } = source
        const leaving = new AbortController()
        const body = { model: 'm', stream, messages: [{ role: 'user', content: 'long ago' }] }
        const asked = buyer.call<Bytes>('chat', {}, body, leaving.signal)
        asked.catch(() => {})
        await until(() => source.calls === calls + 1, 'the provider is asked')
        // as the gateway does: a stream that has begun is read no further
        if (stream) await (await asked).chunks[Symbol.asyncIterator]().return?.()
        else leaving.abort()
        await until(() => source.left === left + 1, 'the provider sees the end')
      }
    } finally {
      source.pieceMs = 0
    }
    await until(async () => (await seller.account(`peer-${buyer.self}`))?.held === 0n, 'nothing is held')
  })

  it('are for nobody whom the owner has not named', async () => {
    // the owner may change his mind while it runs
    seller.host.settings.assistant!.buyers = []
    await seller.host.services.configure()
    const { calls } = source
    const { status, text } = await ask('once more')
    deepEqual([status, JSON.parse(text).error.code], [502, 'provider_refused'])
    await rejects(left(), { name: 'ForbiddenError' })
    equal(source.calls, calls)
  })
})
