import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { answerTo, type Fault } from '../../../node/demo/provider.ts'
import { until } from '../../bootstrap/nodes.ts'
import { KEY, startAssistant } from './assistant-node.ts'

type Client = Awaited<ReturnType<Awaited<ReturnType<typeof startAssistant>>['user']>>['client']

let counter = 0
/** A question that nobody has asked before. */
const fresh = (what = 'question'): string => `${what} ${++counter}`
const body = (content: string, model = 'm') => ({
  model,
  temperature: 0,
  max_tokens: 100,
  messages: [{ role: 'user' as const, content }]
})

async function plain(client: Client, content: string, more: object = {}) {
  const { data, response } = await client.chat.completions
    .create({ ...body(content), ...more })
    .withResponse()
  return { text: data.choices[0]!.message.content, data, headers: response.headers }
}

async function streamed(client: Client, content: string, more: object = {}) {
  const { data, response } = await client.chat.completions
    .create({ ...body(content), ...more, stream: true })
    .withResponse()
  let text = ''
  let usage: unknown
  let reason: unknown
  for await (const chunk of data) {
    text += chunk.choices[0]?.delta.content ?? ''
    usage ??= chunk.usage
    reason ??= chunk.choices[0]?.finish_reason
  }
  return { text, usage, reason, headers: response.headers }
}

/** A server that answers everything with one text of JSON. */
async function openAnswer(text: string) {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(text)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
}

describe('assistant: chat', function () {
  this.timeout(600_000)
  let assistant: Awaited<ReturnType<typeof startAssistant>>
  before(async () => {
    assistant = await startAssistant()
  })
  after(() => assistant?.[Symbol.asyncDispose]())

  it('is answered plain and streamed, and an answer that is kept serves both', async () => {
    const { client } = await assistant.user()
    for (const [ask, other] of [
      [plain, streamed],
      [streamed, plain]
    ] as const) {
      const question = fresh()
      const before = assistant.first.calls
      const first = await ask(client, question)
      equal(first.text, answerTo(question))
      equal(first.headers.get('artel-cache'), 'miss')
      const second = await other(client, question)
      equal(second.text, first.text)
      equal(second.headers.get('artel-cache'), 'hit')
      equal(second.headers.get('artel-cost'), '0')
      equal(assistant.first.calls, before + 1)
    }
  })

  it('a stream says what it took only to whom asks for it', async () => {
    const { client } = await assistant.user()
    const question = fresh()
    const without = await streamed(client, question)
    equal(without.usage, undefined)
    equal(without.reason, 'stop')
    const kept = await streamed(client, question, { stream_options: { include_usage: true } })
    deepEqual(
      (kept.usage as { completion_tokens: number }).completion_tokens,
      Math.ceil(answerTo(question).length / 4)
    )
    const live = await streamed(client, fresh(), { stream_options: { include_usage: true } })
    ok(live.usage != null)
  })

  it('what is sampled is asked for again', async () => {
    const { client } = await assistant.user()
    const question = fresh()
    const before = assistant.first.calls
    for (let i = 0; i < 2; i++)
      equal((await plain(client, question, { temperature: 1 })).headers.get('artel-cache'), 'off')
    equal(assistant.first.calls, before + 2)
  })

  it('100 equal questions of one user at once are one call, those of two users two, and nobody sees it', async () => {
    assistant.first.pieceMs = 20
    const question = fresh()
    const [ann, bob] = [await assistant.user(), await assistant.user()]
    const before = assistant.first.calls
    const ask = [plain, streamed]
    const [answers, other] = await Promise.all([
      Promise.all(Array.from({ length: 100 }, (_, i) => ask[i % 2]!(ann.client, question))),
      plain(bob.client, question)
    ])
    assistant.first.pieceMs = 0
    ok(answers.every(({ text }) => text === answerTo(question)))
    equal(assistant.first.calls, before + 2)
    equal(answers.filter(({ headers }) => headers.get('artel-cache') === 'miss').length, 1)
    equal(other.headers.get('artel-cache'), 'miss')
    const third = await assistant.user()
    const after = await plain(third.client, question)
    equal(after.headers.get('artel-cache'), 'miss')
    deepEqual([...after.headers.keys()], [...other.headers.keys()])
    // the one who asked first has paid
    const cost = (await assistant.account(bob.id)).spent
    ok(cost > 0n)
    equal((await assistant.account(ann.id)).spent, cost)
  })

  it('who says so shares answers with the group', async () => {
    const [ann, bob] = [await assistant.user(), await assistant.user()]
    const question = fresh()
    const ask = async ({ client }: { client: Client }) => {
      const options = { headers: { 'artel-namespace': 'group' } }
      const { response } = await client.chat.completions.create(body(question), options).withResponse()
      return response.headers.get('artel-cache')
    }
    deepEqual([await ask(ann), await ask(bob)], ['miss', 'hit'])
    equal((await plain(bob.client, question)).headers.get('artel-cache'), 'miss')
  })

  it('a client that leaves ends the call of the provider, and is charged for what it got', async () => {
    const { client, id } = await assistant.user()
    assistant.first.pieceMs = 200
    try {
      const before = assistant.first.left
      const stream = await client.chat.completions.create({ ...body(fresh()), stream: true })
      for await (const { choices } of stream) {
        if (!choices[0]?.delta.content) continue
        assistant.first.pieceMs = 60_000
        break
      }
      await until(() => assistant.first.left === before + 1, 'the provider sees the end of a stream')
      const leaving = new AbortController()
      const asked = client.chat.completions.create(body(fresh()), { signal: leaving.signal })
      const calls = assistant.first.calls
      await until(() => assistant.first.calls === calls + 1, 'the provider is asked')
      leaving.abort()
      await rejects(asked)
      await until(() => assistant.first.left === before + 2, 'the provider sees the end of a call')
    } finally {
      assistant.first.pieceMs = 0
    }
    await until(async () => (await assistant.account(id)).held === 0n, 'nothing is held')
    const { spent } = await assistant.account(id)
    ok(spent > 0n && spent < 100n, `${spent}`)
  })

  it('a stream that is cut makes the client throw, and is not kept', async () => {
    const { client, id } = await assistant.user()
    for (const fault of ['cut', 'silent-end', 'error-event'] satisfies Fault[]) {
      const question = fresh()
      assistant.first.faults.push(fault)
      await rejects(streamed(client, question), /ended the answer|was lost|broke the answer off/, fault)
      equal((await plain(client, question)).headers.get('artel-cache'), 'miss')
    }
    equal((await assistant.account(id)).held, 0n)
  })

  it('a stream that only lacks its mark of the end is whole; what was withheld is not kept', async () => {
    const { client } = await assistant.user()
    const question = fresh()
    assistant.first.faults.push('no-done')
    equal((await streamed(client, question)).text, answerTo(question))
    equal((await streamed(client, question)).headers.get('artel-cache'), 'hit')
    const other = fresh()
    assistant.first.faults.push('filtered')
    equal((await plain(client, other)).data.choices[0]!.finish_reason, 'content_filter')
    equal((await plain(client, other)).headers.get('artel-cache'), 'miss')
  })

  it('is tried again, then at the next provider', async () => {
    const { client } = await assistant.user()
    const faults: Fault[] = [
      { status: 500 },
      { status: 429, retryAfter: '0' },
      'refuse',
      'cut-before',
      'not-json'
    ]
    for (const fault of faults)
      for (const ask of [plain, streamed]) {
        if (fault === 'not-json' && ask === streamed) continue
        const question = fresh()
        assistant.first.faults.push(fault)
        equal((await ask(client, question)).text, answerTo(question), JSON.stringify(fault))
      }
    const { calls } = assistant.second
    assistant.first.faults.push({ status: 503 }, { status: 503 })
    equal((await plain(client, fresh(), { model: 'shared' })).text?.startsWith('You said'), true)
    equal(assistant.second.calls, calls + 1)
    assistant.first.faults.push({ status: 429, retryAfter: '3600' })
    await plain(client, fresh(), { model: 'shared' })
    equal(assistant.second.calls, calls + 2)
  })

  it("is not tried again where the question is at fault, and errors are those of OpenAI's client", async () => {
    const { client, id } = await assistant.user()
    const { calls } = assistant.first
    for (const [fault, status, code] of [
      [{ status: 400, code: 'context_length_exceeded' }, 400, 'context_length_exceeded'],
      [{ status: 422 }, 422, 'invalid_request'],
      [{ status: 401, message: `Incorrect API key provided: ${KEY}` }, 502, 'provider_refused'],
      [{ status: 429, code: 'insufficient_quota' }, 502, 'provider_refused']
    ] as const) {
      assistant.first.faults.push(fault)
      await rejects(plain(client, fresh()), { status, code })
    }
    equal(assistant.first.calls, calls + 4)
    await rejects(plain(client, fresh(), { model: 'unknown' }), { status: 404, code: 'model_not_found' })
    await rejects(plain(client, fresh(), { model: 7 }), { status: 400 })
    // a provider may take it for a number
    await rejects(plain(client, fresh(), { max_tokens: '1000' }), { status: 400 })
    equal((await assistant.account(id)).spent, 0n)
    equal((await assistant.account(id)).held, 0n)
  })

  it('an answer that is none is no answer, and nothing stays held', async () => {
    const { client, id } = await assistant.user()
    for (const text of ['null', '{"choices":[{"message":null}]}', '[1]']) {
      await using odd = await openAnswer(text)
      const provider = { kind: 'openai', url: odd.url, models: [{ id: 'odd' }] }
      await assistant.call('put', { name: 'odd', provider })
      await rejects(plain(client, fresh(), { model: 'odd' }), { status: 502 }, text)
    }
    const provider = { kind: 'openai', url: assistant.first.url, secret: 'lost', models: [{ id: 'odd' }] }
    await assistant.call('put', { name: 'odd', provider })
    await rejects(plain(client, fresh(), { model: 'odd' }), { status: 502, code: 'provider_refused' })
    await assistant.call('remove', { name: 'odd' })
    equal((await assistant.account(id)).held, 0n)
  })

  it('a name that is given to another model has no answers of the one before', async () => {
    const { client } = await assistant.user()
    const question = fresh()
    const ask = async (upstream: string) => {
      const provider = {
        kind: 'openai',
        url: assistant.first.url,
        secret: 'key',
        models: [{ id: 'alias', upstream }]
      }
      await assistant.call('put', { name: 'named', provider })
      return (await plain(client, question, { model: 'alias' })).headers.get('artel-cache')
    }
    deepEqual([await ask('one'), await ask('one'), await ask('two')], ['miss', 'hit', 'miss'])
    await assistant.call('remove', { name: 'named' })
  })

  it('costs what it took, to the micro-credit, and no user comes above his quota', async () => {
    const { client, id } = await assistant.user()
    const { data } = await plain(client, fresh())
    const { prompt_tokens, completion_tokens } = data.usage!
    const cost = BigInt(prompt_tokens + 2 * completion_tokens)
    equal((await assistant.account(id)).spent, cost)
    const uncounted = fresh()
    assistant.first.faults.push('no-usage')
    await plain(client, uncounted)
    ok((await assistant.account(id)).spent > cost)
    // enough for one call, and what it leaves is too little for another
    const { spent } = await assistant.account(id)
    await assistant.call('quota', { id, credits: String(spent + 330n) })
    const outcomes = await Promise.allSettled([plain(client, fresh()), plain(client, fresh())])
    const refused = outcomes.filter(each => each.status === 'rejected')
    equal(refused.length, 1)
    equal((refused[0]!.reason as { status: number; code: string }).status, 402)
    await assistant.call('quota', { id, credits: '0' })
    await rejects(plain(client, fresh()), { status: 402, code: 'insufficient_quota' })
    equal((await plain(client, uncounted)).headers.get('artel-cache'), 'hit')
  })

  it('a fifth call of a user that runs at once is refused', async () => {
    const { client } = await assistant.user()
    const { calls, left } = assistant.first
    const leaving = new AbortController()
    assistant.first.pieceMs = 60_000
    const running = Array.from({ length: 4 }, () =>
      client.chat.completions.create(body(fresh()), { signal: leaving.signal })
    )
    const ended = Promise.allSettled(running)
    try {
      await until(() => assistant.first.calls === calls + 4, 'four calls run')
      await rejects(plain(client, fresh()), { status: 429, code: 'too_many_calls' })
    } finally {
      assistant.first.pieceMs = 0
    }
    leaving.abort()
    await ended
    await until(() => assistant.first.left === left + 4, 'they have ended')
    await plain(client, fresh())
  })

  it('embeddings come as they were asked for, and are kept', async () => {
    const { client } = await assistant.user()
    const input = [fresh(), fresh()]
    const wanted = input.map(text => [text.length, 0.5, -0.25, text.charCodeAt(0)])
    const ask = async (more: object) => {
      const { data, response } = await client.embeddings
        .create({ model: 'embedder', input, ...more })
        .withResponse()
      return {
        numbers: data.data.map(({ embedding }) => [...embedding]),
        origin: response.headers.get('artel-cache')
      }
    }
    // the client asks for base64 by itself
    deepEqual(await ask({}), { numbers: wanted, origin: 'miss' })
    deepEqual(await ask({ encoding_format: 'float' }), { numbers: wanted, origin: 'miss' })
    deepEqual(await ask({}), { numbers: wanted, origin: 'hit' })
  })

  it('translates as LibreTranslate does', async () => {
    const { token, id } = await assistant.user()
    const ask = async () => {
      const response = await fetch(`${assistant.url}/translate`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ q: 'Доброе утро', source: 'ru', target: 'en' })
      })
      return [await response.json(), response.headers.get('artel-cache')]
    }
    const answer = { translatedText: 'ru→en: Доброе утро' }
    deepEqual(
      [await ask(), await ask()],
      [
        [answer, 'miss'],
        [answer, 'hit']
      ]
    )
    equal((await assistant.account(id)).spent, 11n)
    const languages = await fetch(`${assistant.url}/languages`, {
      headers: { authorization: `Bearer ${token}` }
    })
    deepEqual(await languages.json(), [{ code: 'ru', name: 'Russian', targets: ['en'] }])
  })

  it('draws while one waits, or as a job that nobody else sees', async () => {
    const [ann, bob] = [await assistant.user(), await assistant.user()]
    const prompt = fresh('canary-question')
    const { data } = await ann.client.images.generate({ model: 'painter', prompt, n: 2 })
    equal(data!.length, 2)
    equal(Buffer.from(data![0]!.b64_json!, 'base64').toString(), `image of ${prompt}`)
    equal((await assistant.account(ann.id)).spent, 80_000n)
    const tooMany = { model: 'painter', prompt, n: 128, size: '99999x99999' as '1024x1024' }
    await rejects(ann.client.images.generate(tooMany), { status: 402 })
    const dearer = { model: 'painter', prompt, num_inference_steps: 50 } as const
    await rejects(ann.client.images.generate(dearer), { status: 400, code: 'unpriced_field' })
    const call = async ({ token }: { token: string }, method: string, path: string, asked?: object) => {
      const response = await fetch(`${assistant.url}/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(asked == null ? {} : { 'content-type': 'application/json' })
        },
        body: asked && JSON.stringify(asked)
      })
      return [response.status, await response.json()] as [number, Record<string, any>]
    }
    const [status, job] = await call(ann, 'POST', '/images/generations?async', { model: 'painter', prompt })
    equal(status, 202)
    const path = `/jobs/${job.id}`
    await until(async () => (await call(ann, 'GET', path))[1].status === 'done', 'the job is done')
    const [, done] = await call(ann, 'GET', path)
    deepEqual(done.result.data.length, 1)
    equal((await assistant.account(ann.id)).spent, 120_000n)
    for (const method of ['GET', 'DELETE']) equal((await call(bob, method, path))[0], 404)
    const folder = join(assistant.folder, 'node', 'services', 'assistant', 'jobs')
    deepEqual(await readdir(folder), [job.id])
    equal((await call(ann, 'DELETE', path))[0], 200)
    deepEqual(await readdir(folder), [])
    equal((await call(ann, 'GET', path))[0], 404)
    const [, wrong] = await call(ann, 'POST', '/images/generations?async', { model: 'nobody', prompt })
    await until(async () => (await call(ann, 'GET', `/jobs/${wrong.id}`))[1].status === 'failed', 'it fails')
  })

  it('a user who is forgotten leaves no answer and no key of it behind', async () => {
    const { client, id } = await assistant.user()
    const question = fresh()
    await plain(client, question)
    equal((await plain(client, question)).headers.get('artel-cache'), 'hit')
    await assistant.call('forget', { id })
    equal(await assistant.account(id), undefined)
    const spending = await assistant.call<{ items: { key: string }[] }>('spending', { by: 'user' })
    ok(spending.items.every(({ key }) => key !== id))
    equal((await plain(client, question)).headers.get('artel-cache'), 'miss')
  })

  it('what a user asks while he is forgotten is answered, and not kept', async () => {
    const { client, id } = await assistant.user()
    const entries = async () => (await assistant.call<{ cache: { entries: number } }>('status')).cache.entries
    const before = await entries()
    const { calls } = assistant.first
    assistant.first.pieceMs = 1000
    const question = fresh()
    const asked = plain(client, question)
    await until(() => assistant.first.calls === calls + 1, 'the provider is asked')
    await assistant.call('forget', { id })
    assistant.first.pieceMs = 0
    equal((await asked).text, answerTo(question))
    equal(await entries(), before)
  })

  it('keys and questions stand in no file that others read, and in no answer of others', async () => {
    const { client } = await assistant.user()
    const canary = fresh('canary-question')
    await plain(client, canary)
    await streamed(client, canary)
    const folder = join(assistant.folder, 'node', 'services', 'assistant')
    equal((await stat(join(folder, 'secrets', 'key'))).mode & 0o777, 0o600)
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    for (const entry of entries.filter(each => each.isFile() && each.name !== 'key')) {
      const text = await readFile(join(entry.parentPath, entry.name), 'latin1')
      ok(!text.includes(KEY) && !text.includes('canary-question'), entry.name)
    }
  })

  it('its owner sees six figures with limits, and what was spent and saved', async () => {
    const { items, cache } = await assistant.call<{
      items: { name: string; value: number; limit: number }[]
      cache: { entries: number }
    }>('status')
    deepEqual(
      items.map(({ name }) => name),
      ['memory', 'users', 'response', 'errors', 'cpu', 'disk']
    )
    ok(items.find(({ name }) => name === 'users')!.value > 5)
    ok(cache.entries > 5)
    const spending = await assistant.call<{ items: { calls: number; saved: number; cost: bigint }[] }>(
      'spending',
      {}
    )
    ok(spending.items.some(({ calls, saved, cost }) => calls > 0 && saved > 0 && cost > 0n))
    const metrics = await (
      await fetch(`${assistant.url}/metrics`, {
        headers: { authorization: `Bearer ${(await assistant.user(['read'])).token}` }
      })
    ).text()
    match(metrics, /artel_assistant_answers_total\{endpoint="chat",cache="hit",status="200"\} \d+/)
    match(metrics, /artel_assistant_measure\{name="memory"\} \d+/)
  })
})
