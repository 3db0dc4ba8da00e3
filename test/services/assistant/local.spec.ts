import { deepEqual, equal, ok } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { featuresOf, hashOf } from '../../../services/assistant/local/ngrams.ts'
import { assistant, type Bytes, type Capabilities, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { WorkRunner } from '../../scheduler/run-work.ts'
import { startHost } from '../host/start-host.ts'

type Host = Awaited<ReturnType<typeof startHost>>

describe('assistant: embeddings without a provider', function () {
  this.timeout(600_000)
  const runner = new WorkRunner()
  let host: Host
  let submitted = 0
  /** Jobs that the sandbox of this test runs. */
  const jobs = {
    async submit(spec: unknown) {
      submitted++
      const result = runner.result(spec)
      result.catch(() => {})
      return { result: () => result, cancel: async () => {} }
    }
  } as unknown as Capabilities['jobs']

  before(async () => {
    await runner.start()
    host = await startHost({
      modules: [assistant],
      capabilities: { jobs },
      settings: { assistant: { quotaCredits: 1 } }
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const models = [{ id: 'near', upstream: 'artel-n-grams', use: 'embeddings', inputPerMillion: '1000000' }]
    await call('put', { name: 'own', provider: { kind: 'local', models } })
  })
  after(async () => {
    await host?.[Symbol.asyncDispose]()
    await runner.stop()
  })

  const call = <T>(operation: string, input: object, body?: object): Promise<T> =>
    host.services.call('assistant', operation, input, {
      caller: OWNER,
      ...(body == null ? {} : { body: [Buffer.from(JSON.stringify(body))] as never })
    }) as Promise<T>
  async function ask(input: unknown, more: object = {}) {
    const { status, whole, headers } = await call<Bytes>('embed', {}, { model: 'near', input, ...more })
    return { status, headers, answer: JSON.parse(Buffer.from(whole!).toString()) }
  }
  const embed = async (input: unknown, more: object = {}): Promise<number[][]> => {
    const { status, answer } = await ask(input, more)
    equal(status, 200, JSON.stringify(answer))
    return answer.data.map(({ embedding }: { embedding: number[] }) => embedding)
  }
  const cosine = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0)

  it('are what the arithmetic says, of a length of 1, also of texts with more features than a row has', async () => {
    const factors = new BigInt64Array(
      new Uint8Array(createHash('shake256', { outputLength: 2048 }).update('artel n-grams 1').digest()).buffer
    ).map(factor => factor | 1n)
    const long = Array.from({ length: 300 }, (_, i) => `word${i}`).join(' ')
    const texts = ['Привет, мир', long]
    const embeddings = await embed(texts)
    for (const [i, text] of texts.entries()) {
      const exact = new Array<number>(256).fill(0)
      for (const [feature, weight] of featuresOf(text)) {
        const [low, high] = hashOf(feature)
        const hash = (BigInt(high) << 32n) | BigInt(low >>> 0)
        for (let d = 0; d < 256; d++)
          exact[d]! += (Number(BigInt.asIntN(64, hash * factors[d]!)) / 2 ** 63) * weight
      }
      const length = Math.hypot(...exact)
      for (const [d, value] of exact.entries())
        ok(Math.abs(value / length - embeddings[i]![d]!) < 1e-5, `${i} ${d}`)
    }
    ok(featuresOf(long).size > 256)
  })

  it('are near where texts are written alike, in either script, and far where they are not', async () => {
    const [text, typo, cased, other, ru, ruForm, ruOther] = (await embed([
      'The library opens at nine in the morning',
      'The librery opens at nine in the mornings',
      'the LIBRARY opens at nine, in the morning',
      'Quarterly revenue fell because exports collapsed',
      'Расписание уроков на понедельник',
      'Расписания уроков на понедельники',
      'Счёт за электричество оплачен'
    ])) as [number[], number[], number[], number[], number[], number[], number[]]
    for (const [one, near, far] of [
      [text, typo, other],
      [text, cased, other],
      [ru, ruForm, ruOther]
    ] as const) {
      ok(cosine(one, near) > 0.5, `${cosine(one, near)}`)
      ok(cosine(one, far) < 0.35, `${cosine(one, far)}`)
    }
  })

  it('have as many numbers as are asked for, as base64 too, cost what words cost, and are kept', async () => {
    const [short] = await embed('one two three', { dimensions: 64 })
    equal(short!.length, 64)
    ok(Math.abs(cosine(short!, short!) - 1) < 1e-5)
    const before = submitted
    const floats = await ask('one two three')
    equal(floats.headers!['artel-cost'], '3')
    deepEqual(floats.answer.usage, { prompt_tokens: 3, total_tokens: 3 })
    const again = await ask('one two three')
    equal(again.headers!['artel-cache'], 'hit')
    equal(submitted, before + 1)
    const { answer } = await ask('one two three', { encoding_format: 'base64' })
    const bytes = Buffer.from(answer.data[0].embedding, 'base64')
    deepEqual(
      Array.from({ length: 256 }, (_, i) => bytes.readFloatLE(i * 4)),
      floats.answer.data[0].embedding
    )
  })

  it('of what is no text are refused, before a job', async () => {
    const before = submitted
    for (const input of [[], [''], [[1, 2]], ['a', 7], 'x'.repeat(300_000), new Array(2049).fill('a')])
      equal((await ask(input)).status, 400, JSON.stringify(input).slice(0, 50))
    equal((await ask('a', { dimensions: 257 })).status, 400)
    equal(submitted, before)
  })

  it('are of one model alone, which has no address', async () => {
    const named = (kind: string, model: object, more: object = {}) =>
      call('put', { name: 'x', provider: { kind, models: [model], ...more } }).then(
        () => 'taken',
        (error: Error) => error.message
      )
    ok((await named('local', { id: 'gpt', use: 'embeddings' })).includes('artel-n-grams'))
    ok((await named('local', { id: 'artel-n-grams' })).includes('its use is embeddings'))
    ok((await named('openai', { id: 'm' })).includes('url'))
    const model = { id: 'artel-n-grams', use: 'embeddings' }
    ok((await named('local', model, { url: 'http://x.example' })).includes('url'))
  })
})
