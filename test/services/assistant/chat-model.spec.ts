import { deepEqual, equal, notEqual, ok, rejects } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSandbox } from '../../../sandbox/index.ts'
import { createLocalChat } from '../../../services/assistant/local/chat/create-chat.ts'
import { growingText } from '../../../services/assistant/local/chat/growing-text.ts'
import { chance, sample } from '../../../services/assistant/local/chat/sample.ts'
import { provider } from '../../../services/assistant/provider/provider.ts'
import { assistant, type Bytes, type Capabilities, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { WorkRunner } from '../../scheduler/run-work.ts'
import { startHost } from '../host/start-host.ts'
import { bigrams, END, sums, sumsAnswer, writeModel } from './decoder-model.ts'

type Host = Awaited<ReturnType<typeof startHost>>

const byte = (text: string): number => Buffer.from(text)[0]!
/** after ":" comes "Дab", and then the end */
const [first, second] = Buffer.from('Д')
const STEPS = new Map([
  [byte(':'), first!],
  [first!, second!],
  [second!, byte('a')],
  [byte('a'), byte('b')]
])
const messages = [{ role: 'user', content: 'hi' }]
const PROMPT = 'user: hi\nassistant:'
const letter = (sum: number): number => byte('a') + (sum % 26)

describe('assistant: text of a decoder', () => {
  it('is told as far as no later token changes it, and ends before what ends it', () => {
    const decode = (ids: number[]) => Buffer.from(ids).toString()
    const told = (text: string, stops: string[]) => {
      const growing = growingText(decode, stops)
      const pieces: string[] = []
      for (const id of Buffer.from(text)) {
        const { piece, hasEnded } = growing.add(id)
        if (piece !== '') pieces.push(piece)
        if (hasEnded) return pieces
      }
      return [...pieces, growing.rest()].filter(piece => piece !== '')
    }
    deepEqual(told('aЖb😀', []), ['a', 'Ж', 'b', '😀'])
    deepEqual(told('one END two', ['END']).join(''), 'one ')
    deepEqual(told('one EN two', ['END', 'x']).join(''), 'one EN two')
    deepEqual(told('EEN', ['END']).at(-1), 'EN')
    deepEqual(told('a\nuser', ['\nuser:']), ['a', '\nuser'])
  })

  it('has the likeliest token, or one by chance among the likeliest', () => {
    const logits = Float32Array.of(0, Math.log(6), Math.log(3))
    const by = (temperature: number, topP: number, point: number) =>
      sample(logits, { temperature, topP, random: () => point })
    equal(by(0, 1, 0.99), 1)
    // 0.1, 0.6, 0.3
    deepEqual(
      [0.05, 0.15, 0.69, 0.71].map(point => by(1, 1, point)),
      [0, 1, 1, 2]
    )
    // the two likeliest have 0.9
    deepEqual(
      [0, 0.66, 0.67, 0.999].map(point => by(1, 0.9, point)),
      [1, 1, 2, 2]
    )
    equal(by(1, 0, 0.999), 1)
    const draws = (seed: number) => Array.from({ length: 4 }, chance(seed))
    deepEqual(draws(7), draws(7))
    notEqual(`${draws(7)}`, `${draws(8)}`)
    notEqual(`${draws(2 ** 40)}`, `${draws(2 ** 41)}`)
  })
})

describe('assistant: chat by a model of the owner', function () {
  this.timeout(600_000)
  const sandbox = createSandbox({ warm: 1 })
  const runner = new WorkRunner()
  /** the block store of this test, and the jobs that its sandbox runs */
  const stored = new Map<string, Uint8Array>()
  const specs: { model: { cid: string }; input: Record<string, { dims: number[] }> }[] = []
  const scheduler = {
    async addData(source: Iterable<Uint8Array>) {
      const bytes = Buffer.concat([...source])
      const cid = createHash('sha256').update(bytes).digest('hex')
      stored.set(cid, bytes)
      return { cid, size: bytes.length }
    },
    async data(cid: string) {
      const bytes = stored.get(cid)
      if (bytes == null) throw new Error('nobody has it')
      return { size: bytes.length, chunks: [bytes] }
    }
  } as unknown as Capabilities['scheduler']
  const jobs = {
    async submit(spec: (typeof specs)[number]) {
      specs.push(spec)
      const result = runner.result({ ...spec, model: stored.get(spec.model.cid) })
      result.catch(() => {})
      return { result: () => result, cancel: async () => {} }
    }
  } as unknown as Capabilities['jobs']
  let host: Host
  before(async () => {
    await sandbox.start()
    await runner.start()
    host = await startHost({
      modules: [assistant],
      capabilities: { sandbox, jobs, scheduler },
      settings: { assistant: { quotaCredits: 1 } }
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const folder = join(host.folder, 'assistant', 'models')
    await writeModel(
      join(folder, 'steps'),
      bigrams(token => [STEPS.get(token) ?? END])
    )
    await writeModel(join(folder, 'sums'), sums(letter), { config: { n_positions: 40 } })
    // the weights elsewhere
    stored.set('weights', await readFile(join(folder, 'sums', 'model.onnx')))
    for (const [copy, cid] of [
      ['by-cid', 'weights\n'],
      ['nowhere', 'unknown']
    ] as const) {
      await cp(join(folder, 'sums'), join(folder, copy), { recursive: true })
      await rm(join(folder, copy, 'model.onnx'))
      await writeFile(join(folder, copy, 'model.cid'), cid)
    }
    await writeModel(
      join(folder, 'dice'),
      bigrams(() => [1, 2, 3, 4, 5, 6].map(side => byte(String(side))))
    )
    await writeModel(
      join(folder, 'templated'),
      bigrams(token => [STEPS.get(token) ?? END]),
      {
        settings: {
          chat_template:
            "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}:"
        }
      }
    )
    const price = { use: 'chat', inputPerMillion: '1000000', outputPerMillion: '1000000', maxOutputTokens: 8 }
    const models = ['sums', 'dice', 'templated', 'missing', 'by-cid', 'nowhere'].map(id => ({
      id,
      ...price
    }))
    await call('put', {
      name: 'own',
      provider: { kind: 'local', models: [{ id: 'own', upstream: 'steps', ...price }, ...models] }
    })
    const atWorkers = { id: 'at-workers', upstream: 'sums', ...price }
    await call('put', { name: 'workers', provider: { kind: 'network', models: [atWorkers] } })
  })
  after(async () => {
    await host?.[Symbol.asyncDispose]()
    await sandbox.stop()
    await runner.stop()
  })

  const call = <T>(operation: string, input: object, body?: object): Promise<T> =>
    host.services.call('assistant', operation, input, {
      caller: OWNER,
      ...(body == null ? {} : { body: [Buffer.from(JSON.stringify(body))] as never })
    }) as Promise<T>
  async function ask(model: string, more: object = {}) {
    const { status, chunks, headers } = await call<Bytes>('chat', {}, { model, messages, ...more })
    const text = Buffer.concat(await Array.fromAsync(chunks)).toString()
    return { status, headers, text }
  }
  async function answered(model: string, more: object = {}) {
    const { text, headers } = await ask(model, more)
    const { choices, usage, error } = JSON.parse(text)
    ok(choices != null, JSON.stringify(error))
    return { said: choices[0].message.content, finish: choices[0].finish_reason, usage, headers }
  }

  it('is what the model says, token by token, counted, paid and kept', async () => {
    const { said, finish, usage, headers } = await answered('own', { temperature: 0 })
    deepEqual([said, finish], ['Дab', 'stop'])
    deepEqual(usage, { prompt_tokens: PROMPT.length, completion_tokens: 5, total_tokens: PROMPT.length + 5 })
    equal(headers!['artel-cost'], String(PROMPT.length + 5))
    equal((await answered('own', { temperature: 0 })).headers!['artel-cache'], 'hit')
  })

  it('comes as events, whose texts are whole characters', async () => {
    const { text } = await ask('own', { stream: true, stream_options: { include_usage: true } })
    const events = text
      .split('\n\n')
      .flatMap(event => (event.startsWith('data: {') ? [JSON.parse(event.slice(6))] : []))
    ok(text.trimEnd().endsWith('data: [DONE]'))
    const pieces = events.map(({ choices }) => choices[0]?.delta.content).filter(piece => piece)
    deepEqual(pieces, ['Д', 'a', 'b'])
    equal(events.at(-1).usage.completion_tokens, 5)
  })

  it('ends where it is told to', async () => {
    const cut = await answered('own', { stop: ['ab'], max_tokens: 4 })
    deepEqual([cut.said, cut.finish], ['Д', 'stop'])
    const { usage } = cut
    equal(usage.completion_tokens, 4)
  })

  it('goes on from what the model remembers, with its mask and places, also with weights by their CID', async () => {
    const { said, finish } = await answered('by-cid', { temperature: 0 })
    deepEqual([said, finish], [sumsAnswer(PROMPT, letter, 8), 'length'])
  })

  it('is the same for one seed, and asked as the template of the model says', async () => {
    // six sides of equal chance
    const logits = new Float32Array(256).fill(-100).fill(0, byte('1'), byte('6') + 1)
    const random = chance(1)
    const drawn = Array.from({ length: 8 }, () => sample(logits, { temperature: 1, topP: 1, random }))
    equal((await answered('dice', { seed: 1 })).said, Buffer.from(drawn).toString())
    const { said, usage } = await answered('templated')
    deepEqual([said, usage.prompt_tokens], ['Дab', '<user>hi:'.length])
  })

  it('is the same of workers of the network, who have the weights by their CID, and a job for each token', async () => {
    const { text } = await ask('at-workers', { stream: true, max_tokens: 2 })
    const pieces = text
      .split('\n\n')
      .flatMap(event => (event.startsWith('data: {') ? [JSON.parse(event.slice(6))] : []))
      .flatMap(({ choices }) => choices[0]?.delta.content || [])
    deepEqual(pieces, [...sumsAnswer(PROMPT, letter, 2)])
    deepEqual(new Set(specs.map(({ model }) => stored.get(model.cid))).size, 1)
    // the past goes with each, and of what was said only the newest
    deepEqual(
      specs.map(({ input }) => [input.input_ids!.dims[1], input['past_key_values.0.key']!.dims[2]]),
      [
        [PROMPT.length, 0],
        [1, PROMPT.length]
      ]
    )
    const unknown = await ask('nowhere')
    deepEqual([unknown.status, JSON.parse(unknown.text).error.code], [502, 'bad_model'])
  })

  it('is refused by name where nobody could give it', async () => {
    for (const [field, value] of Object.entries({
      tools: [],
      n: 2,
      response_format: { type: 'json_object' },
      temperature: 'hot',
      max_tokens: 1.5,
      stop: [''],
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }]
    })) {
      const { status, text } = await ask('own', { [field]: value })
      deepEqual([status, JSON.parse(text).error.message.startsWith(field)], [400, true], text)
    }
    const long = await ask('sums', { messages: [{ role: 'user', content: 'x'.repeat(40) }] })
    deepEqual([long.status, JSON.parse(long.text).error.code], [400, 'context_length_exceeded'])
    const longer = await ask('own', { messages: [{ role: 'user', content: 'x'.repeat(32_768) }] })
    deepEqual([longer.status, JSON.parse(longer.text).error.code], [400, 'context_length_exceeded'])
    const first = await ask('templated', { messages: [{ role: 'system', content: 'x' }] })
    deepEqual([first.status, JSON.parse(first.text).error.message.endsWith('no system')], [400, true])
    const missing = await ask('missing')
    deepEqual([missing.status, JSON.parse(missing.text).error.code], [502, 'bad_model'])
    const parsed = provider.safeParse({ kind: 'local', models: [{ id: 'x', upstream: '../x' }] })
    equal(parsed.success, false)
  })

  it('ends with who leaves, and is nowhere without walls', async () => {
    const folder = join(host.folder, 'assistant', 'models')
    const chat = createLocalChat(() => ({ sandbox }), folder)
    const model = { id: 'dice', maxOutputTokens: 1_000_000 }
    const provider = { kind: 'local' }
    const route = { name: 'own', provider, model } as never
    const leaving = new AbortController()
    const reply = await chat(route, '', { messages, stream: true }, leaving.signal, 'id')
    const { events } = reply as { events: AsyncGenerator<string> }
    await events.next()
    // who asks meanwhile takes no other copy of the model
    const file = join(folder, 'dice', 'model.onnx')
    await rename(file, `${file}.away`)
    try {
      const beside = { name: 'own', provider, model: { id: 'dice', maxOutputTokens: 2 } } as never
      const { whole } = (await chat(beside, '', { messages }, AbortSignal.timeout(60_000), 'id')) as {
        whole: object
      }
      ok('usage' in whole)
    } finally {
      await rename(`${file}.away`, file)
    }
    leaving.abort(new Error('gone'))
    await rejects(Array.fromAsync(events), /gone/)

    const bare = createSandbox({ lazy: true, toolPath: '/nowhere' })
    await bare.start()
    try {
      const unwalled = createLocalChat(() => ({ sandbox: bare }), folder)
      await rejects(unwalled(route, '', { messages }, AbortSignal.timeout(60_000), 'id'), {
        code: 'no_walls'
      })
    } finally {
      await bare.stop()
    }
  })
})
