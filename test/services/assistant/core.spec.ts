import { deepEqual, equal, notDeepEqual, ok, rejects, throws } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { answerOf, textsOf } from '../../../services/assistant/answer.ts'
import type { Asked } from '../../../services/assistant/ask.ts'
import { CLOSED, failedAt, tryAt } from '../../../services/assistant/core/breaker.ts'
import { cacheKey, questionOf } from '../../../services/assistant/core/cache-key.ts'
import { cacheRule } from '../../../services/assistant/core/cacheability.ts'
import {
  type Completion,
  createAssembly,
  isKeepable,
  toChunks
} from '../../../services/assistant/core/chunks.ts'
import { frame, readEvents } from '../../../services/assistant/core/events.ts'
import { imagesAsked } from '../../../services/assistant/core/image-price.ts'
import { costOf, mostOf } from '../../../services/assistant/core/price.ts'
import { decide, readRetryAfter } from '../../../services/assistant/core/retry.ts'
import { startFlight } from '../../../services/assistant/flight.ts'
import { MIGRATIONS } from '../../../services/assistant/schema.ts'
import { createCache } from '../../../services/assistant/store/cache.ts'
import { createCredits, type Hold } from '../../../services/assistant/store/credits.ts'
import { until } from '../../bootstrap/nodes.ts'

const NAMESPACE = Buffer.alloc(32, 1)

/** Every field of a chat completion that OpenAI's client knows today, and one that it does not. */
const BODY = {
  model: 'm',
  messages: [{ role: 'user', content: 'hello' }],
  temperature: 0,
  top_p: 1,
  n: 1,
  seed: 1,
  max_tokens: 10,
  max_completion_tokens: 10,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: { 50256: -100 },
  logprobs: false,
  top_logprobs: 0,
  modalities: ['text'],
  audio: { voice: 'a', format: 'mp3' },
  prediction: { type: 'content', content: 'x' },
  reasoning_effort: 'low',
  response_format: { type: 'text' },
  service_tier: 'auto',
  stop: ['.'],
  store: false,
  tools: [{ type: 'function', function: { name: 'f', parameters: {} } }],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  verbosity: 'low',
  web_search_options: {},
  prompt_cache_key: 'p',
  safety_identifier: 's',
  of_next_year: { deep: [{ er: 1 }] }
}

describe('assistant: key of the cache', () => {
  const key = (body: object, endpoint = 'chat', namespace = NAMESPACE): string =>
    cacheKey(namespace, questionOf(endpoint, body as Record<string, unknown>)).toString('hex')

  it('changes with every field that may change the answer', () => {
    const keys = new Set([key(BODY)])
    for (const field of Object.keys(BODY)) {
      keys.add(key({ ...BODY, [field]: 'another' }))
      const { [field as keyof typeof BODY]: _, ...without } = BODY
      keys.add(key(without))
    }
    equal(keys.size, 1 + 2 * Object.keys(BODY).length)
  })

  it('is that of another body for any two bodies that differ, and the same in any order of fields', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 5 }),
        fc.string(),
        fc.jsonValue(),
        (body, field, value) => {
          const before = { ...body, model: 'm' }
          const after = { ...before, [field]: value }
          const isIgnored = ['stream', 'stream_options', 'user', 'metadata', '__proto__'].includes(field)
          const isSame = isIgnored || JSON.stringify(before[field as 'model']) === JSON.stringify(value)
          const reversed = Object.fromEntries(Object.entries(before).reverse())
          equal(key(reversed), key(before))
          if (!isSame) ok(key(after) !== key(before), `${field} = ${JSON.stringify(value)}`)
        }
      )
    )
  })

  it('does not change with how the answer travels and who asks', () => {
    const others = { stream: true, stream_options: { include_usage: true }, user: 'u', metadata: { a: 'b' } }
    equal(key({ ...BODY, ...others }), key(BODY))
  })

  it('is another one for another endpoint and another namespace', () => {
    const keys = [key(BODY), key(BODY, 'embeddings'), key(BODY, 'chat', Buffer.alloc(32, 2))]
    equal(new Set(keys).size, 3)
  })
})

describe('assistant: what is kept', () => {
  const DAY = 86_400_000
  const rule = (
    body: object,
    mode: 'auto' | 'always' | 'never' = 'auto',
    control = '',
    endpoint: 'chat' | 'embeddings' | 'translate' = 'chat'
  ) => {
    const { mayRead, keepMs } = cacheRule(endpoint, body as Record<string, unknown>, mode, control)
    return [mayRead, keepMs / DAY]
  }

  it('what is the same every time', () => {
    deepEqual(rule({}), [false, 0])
    deepEqual(rule({ temperature: 0.1 }), [false, 0])
    deepEqual(rule({ temperature: 0 }), [true, 1])
    deepEqual(rule({ temperature: 1, seed: 0 }), [true, 1])
    deepEqual(rule({}, 'always'), [true, 1])
    deepEqual(rule({ temperature: 0 }, 'never'), [false, 0])
    deepEqual(rule({}, 'auto', '', 'embeddings'), [true, 30])
    deepEqual(rule({}, 'auto', '', 'translate'), [true, 30])
  })

  it('as Cache-Control says', () => {
    deepEqual(rule({ temperature: 0 }, 'auto', 'no-cache'), [false, 1])
    deepEqual(rule({ temperature: 0 }, 'auto', 'No-Store'), [false, 0])
    deepEqual(rule({ temperature: 0 }, 'auto', 'max-age=43200'), [true, 0.5])
    deepEqual(rule({ temperature: 0 }, 'auto', 'max-age=0'), [false, 0])
    deepEqual(rule({ temperature: 0 }, 'auto', 'max-age=nonsense, foo'), [true, 1])
  })
})

describe('assistant: the cache', () => {
  it('on a full disk lets go what is old and seldom asked for, and counts what there is', () => {
    const db = new DatabaseSync(':memory:')
    for (const script of MIGRATIONS) db.exec(script)
    let now = 1
    const MAX = 20_000
    const cache = createCache(
      db,
      () => MAX,
      () => now
    )
    const key = (i: number): Buffer => Buffer.from(`key ${i}`)
    cache.namespaceKey('a')
    for (let i = 0; i < 100; i++) {
      now++
      cache.put('a', key(i), randomBytes(500).toString('hex'), 1_000_000)
      ok(cache.get('a', key(0)) != null, `the one that is always asked for, after ${i} others`)
      ok(cache.figures().bytes <= MAX)
    }
    equal(cache.get('a', key(1)), undefined)
    ok(cache.get('a', key(99)) != null)
    // a node that is of no group forgets what others have signed, and nothing of its own
    cache.keepSigners([])
    ok(cache.get('a', key(99)) != null)
    const { entries, bytes } = cache.figures()
    deepEqual(
      { ...db.prepare('SELECT count(*) AS entries, sum(length(value)) AS bytes FROM cache').get() },
      { entries, bytes }
    )
    db.close()
  })
})

describe('assistant: credits', () => {
  const price = { inputPerMillion: 150_000n, outputPerMillion: 600_000n }

  it('cost is rounded up once, and what is held bounds it', () => {
    equal(costOf(price, { input: 1, output: 1 }), 1n)
    equal(costOf(price, { input: 1_000_000, output: 1_000_000 }), 750_000n)
    equal(mostOf(price, { messages: [{}], max_tokens: 1000, n: 2 }, 984, 4096), 150n + 1200n)
    equal(mostOf(price, { messages: [{}], max_tokens: -5 }, 984, 1000), 150n + 600n)
    equal(
      mostOf(price, { messages: [{}], max_tokens: 1000, max_completion_tokens: 1 }, 984, 4096),
      150n + 600n
    )
  })

  it('an image costs by how large it is, and no field passes of which nobody knows what it costs', () => {
    const free = { model: 'x', prompt: 'a cat', seed: 1, response_format: 'url', quality: 'auto' }
    deepEqual(imagesAsked(free, []), { images: 1, parts: 1 })
    for (const [asked, images, parts] of [
      [{ n: 3, size: '1024x1024' }, 3, 1],
      [{ size: '1024x1025' }, 1, 2],
      [{ image_size: { width: 2048, height: 2048 } }, 1, 4],
      // the larger one, whichever of the two a provider obeys
      [{ size: '64x64', image_size: { width: 2048, height: 2048 } }, 1, 4],
      [{ image_size: 'landscape_16_9', size: 'auto' }, 1, 1],
      [{ n: null, size: null }, 1, 1]
    ] as const)
      deepEqual(imagesAsked({ ...free, ...asked }, []), { images, parts }, JSON.stringify(asked))
    for (const [field, value] of Object.entries({
      max_images: 9,
      num_images: 9,
      num_inference_steps: 50,
      quality: 'hd',
      image_size: 'auto_4K',
      size: '99999999x1',
      loras: [],
      constructor: 1
    }))
      throws(() => imagesAsked({ ...free, [field]: value }, []), { code: 'unpriced_field' }, field)
    for (const n of [0, 1.5, '2', 129, 1e300]) throws(() => imagesAsked({ n }, []), { status: 400 })
    deepEqual(imagesAsked({ max_images: 9 }, ['max_images']), { images: 1, parts: 1 })
  })

  it('after 1,000 calls in any order and with kills in between nothing is held and nobody is above his quota', () => {
    const users = ['a', 'b', 'c']
    const action = fc.record({
      user: fc.constantFrom(...users),
      act: fc.constantFrom('hold', 'hold', 'hold', 'settle', 'refused', 'twice', 'kill'),
      amount: fc.bigInt(0n, 400_000n),
      cost: fc.bigInt(0n, 800_000n),
      pick: fc.nat()
    })
    fc.assert(
      fc.property(fc.array(action, { minLength: 1000, maxLength: 1000 }), actions => {
        const db = new DatabaseSync(':memory:')
        for (const script of MIGRATIONS) db.exec(script)
        const open = () => createCredits(db, () => 3_000_000n)
        let credits = open()
        let running: Hold[] = []
        let charged = 0n
        for (const user of users) credits.see(user, user, 0)
        credits.setQuota('b', 1_000_000n)
        for (const { user, act, amount, cost, pick } of actions) {
          if (act === 'hold') {
            const hold = credits.hold(user, amount)
            if (hold != null) running.push(hold)
          } else if (act === 'kill') {
            running = []
            credits = open()
          } else {
            const [hold] = running.splice(pick % (running.length || 1), 1)
            if (hold == null) continue
            charged += credits.settle(hold, act === 'refused' ? 0n : cost, 'm', 0)
            if (act === 'twice') equal(credits.settle(hold, cost, 'm', 0), 0n)
          }
          for (const { id, spent, held } of credits.list())
            ok(spent + held <= (id === 'b' ? 1_000_000n : 3_000_000n), `${id}: ${spent} + ${held}`)
        }
        for (const hold of running) charged += credits.settle(hold, 1n, 'm', 0)
        const list = credits.list()
        equal(
          list.reduce((sum, { held }) => sum + held, 0n),
          0n
        )
        equal(
          list.reduce((sum, { spent }) => sum + spent, 0n),
          charged
        )
        db.close()
      }),
      { numRuns: 5 }
    )
  })
})

describe('assistant: what was spent', function () {
  this.timeout(60_000)

  it('counts at once, and is written as soon as the disk takes it', async () => {
    const db = new DatabaseSync(':memory:')
    for (const script of MIGRATIONS) db.exec(script)
    db.exec("CREATE TRIGGER full BEFORE INSERT ON spending BEGIN SELECT RAISE(FAIL, 'full'); END")
    const told: (string | undefined)[] = []
    const credits = createCredits(
      db,
      () => 100n,
      error => told.push(error?.message)
    )
    const spent = () => db.prepare('SELECT spent FROM users').get()?.spent
    credits.see('a', 'a', 0)
    equal(credits.settle(credits.hold('a', 90n)!, 80n, 'm', 0), 80n)
    credits.saved('a', 'm', 0)
    equal(credits.hold('a', 21n), undefined)
    await until(() => told[0] === 'full', 'it is told')
    equal(spent(), 0)
    db.exec('DROP TRIGGER full')
    await until(() => told.at(-1) == null, 'it is written')
    equal(spent(), 80)
    deepEqual(credits.spending(0, 'user'), [{ key: 'a', calls: 1, saved: 1, cost: 80n }])
    credits.close()
    db.close()
  })
})

describe('assistant: a provider that fails', () => {
  const status = (code: number, rest: object = {}) => ({ kind: 'status', status: code, ...rest }) as const

  it('is asked again, then another one, never for a fault of the question', () => {
    for (const failure of [
      { kind: 'connect' },
      { kind: 'overdue' },
      ...[408, 409, 429, 500, 502, 503, 529].map(code => status(code))
    ] as const) {
      equal(decide(failure, 1, 0.5).next, 'again')
      equal(decide(failure, 2, 0.5).next, 'provider')
    }
    for (const code of [400, 401, 402, 403, 404, 413, 422]) equal(decide(status(code), 1, 0.5).next, 'fail')
    equal(decide(status(429, { code: 'insufficient_quota' }), 1, 0.5).next, 'fail')
  })

  it('is waited for as it says, with jitter where it says nothing', () => {
    deepEqual(decide(status(429, { retryAfterMs: 3000 }), 1, 0), { next: 'again', waitMs: 3000 })
    equal(decide(status(429, { retryAfterMs: 60_000 }), 1, 0).next, 'provider')
    notDeepEqual(decide(status(500), 1, 0), decide(status(500), 1, 1))
    equal(readRetryAfter('7', 0), 7000)
    equal(readRetryAfter('Thu, 01 Jan 1970 00:00:09 GMT', 2000), 7000)
    equal(readRetryAfter('soon', 0), undefined)
    equal(readRetryAfter(undefined, 0), undefined)
  })

  it('is left alone after five failures, then one alone may try', () => {
    let breaker = CLOSED
    for (let i = 0; i < 5; i++) {
      ok(tryAt(breaker, 1000) != null)
      breaker = failedAt(breaker, 1000)
    }
    equal(tryAt(breaker, 1000), undefined)
    equal(tryAt(breaker, 30_999), undefined)
    const trying = tryAt(breaker, 31_000)
    ok(trying != null)
    equal(tryAt(trying, 31_000), undefined)
    ok(tryAt(CLOSED, 31_000) != null)
  })
})

describe('assistant: streams', () => {
  async function* cut(text: string, at: readonly number[]): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(text)
    const places = [0, ...at.map(place => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
    for (const [i, place] of places.slice(1).entries()) yield bytes.subarray(places[i], place)
  }
  async function read(text: string, at: readonly number[]): Promise<{ events: string[]; isDone: boolean }> {
    const events: string[] = []
    const reader = readEvents(cut(text, at))
    for (;;) {
      const { value, done } = await reader.next()
      if (done === true) return { events, isDone: value }
      events.push(value)
    }
  }

  it('have the same events wherever the bytes are cut', async () => {
    const data = fc.jsonValue().map(value => JSON.stringify(value))
    await fc.assert(
      fc.asyncProperty(fc.array(data), fc.array(fc.nat(10_000)), async (events, at) => {
        const text = `: ping\n\n${events.map(frame).join('')}${frame('[DONE]')}`
        deepEqual(await read(text, at), { events, isDone: true })
        deepEqual(await read(events.map(frame).join(''), at), { events, isDone: false })
      }),
      { numRuns: 200 }
    )
  })

  it('have no event without end', async () => {
    await rejects(read(`data: ${'x'.repeat(3_000_000)}`, [1_000_000, 2_000_000]), { name: 'StreamError' })
  })

  it('a whole answer and its pieces are the same', () => {
    const text = fc.string({ minLength: 1 })
    const call = fc.record({
      id: text,
      type: fc.constant('function'),
      function: fc.record({ name: text, arguments: text })
    })
    const message = fc.record({
      role: fc.constant('assistant'),
      content: text,
      tool_calls: fc.array(call, { minLength: 1, maxLength: 3 })
    })
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), messages => {
        const choices = messages.map((each, index) => ({ index, message: each, finish_reason: 'stop' }))
        const whole: Completion = { id: 'c', object: 'chat.completion', created: 1, model: 'm', choices }
        const assembly = createAssembly()
        for (const chunk of toChunks(whole)) assembly.add(chunk)
        deepEqual(JSON.parse(JSON.stringify(assembly.answer())), JSON.parse(JSON.stringify(whole)))
        ok(assembly.isComplete)
      })
    )
  })

  it('texts go on where the last piece ended, also of tools', () => {
    const assembly = createAssembly()
    const piece = (delta: object, finish_reason: string | null = null) =>
      assembly.add({ id: 'c', choices: [{ index: 0, delta, finish_reason }] })
    piece({ role: 'assistant', content: '' })
    piece({ content: 'при' })
    piece({ content: 'вет' })
    piece({ tool_calls: [{ index: 0, id: 't', type: 'function', function: { name: 'f', arguments: '' } }] })
    piece({ tool_calls: [{ index: 0, function: { arguments: '{"a"' } }] })
    ok(!assembly.isComplete)
    piece({ tool_calls: [{ index: 0, function: { arguments: ':1}' } }] })
    piece({}, 'tool_calls')
    assembly.add({ id: 'c', choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } })
    const { choices, usage } = assembly.answer()
    deepEqual(choices[0], {
      index: 0,
      finish_reason: 'tool_calls',
      message: {
        role: 'assistant',
        content: 'привет',
        tool_calls: [{ id: 't', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }]
      }
    })
    deepEqual(usage, { prompt_tokens: 1, completion_tokens: 2 })
  })

  it('a piece that reaches for the prototype of all objects is refused', () => {
    for (const delta of ['{"__proto__":{"isOwner":true}}', '{"a":{"__proto__":{"isOwner":true}}}'])
      throws(() => createAssembly().add({ choices: [{ index: 0, delta: JSON.parse(delta) }] }), {
        name: 'StreamError'
      })
    equal(Reflect.get({}, 'isOwner'), undefined)
  })

  it('what has not ended by itself is not kept', () => {
    const answer = (finish_reason: string | null): Completion => ({
      choices: [{ index: 0, message: {}, finish_reason }]
    })
    deepEqual(
      [answer('stop'), answer('length'), answer('content_filter'), answer(null), { choices: [] }].map(
        isKeepable
      ),
      [true, true, false, false, false]
    )
  })
})

describe('assistant: an answer that nobody waits for', () => {
  it('is given up after its time, though there is a piece now and then, and the call ends', async () => {
    const { signal: never } = new AbortController()
    for (const take of [
      (asked: Asked, ms: number) => answerOf(asked, never, ms),
      (asked: Asked, ms: number) => Array.fromAsync(textsOf(asked, never, ms))
    ]) {
      const flight = startFlight(async (put, signal) => {
        const timer = setInterval(() => put({ text: '{"choices":[]}' }), 1)
        await once(signal, 'abort')
        clearInterval(timer)
        throw signal.reason
      })
      const ended = rejects(flight.whole)
      const asked: Asked = { origin: 'miss', reader: flight.join(), cost: () => 0n }
      await rejects(take(asked, 20), { name: 'AssistantError', status: 504, code: 'overdue' })
      await ended
    }
  })
})
