import { equal, match, ok, rejects } from 'node:assert/strict'
import OpenAI from 'openai'
import { startAssistant } from './assistant-node.ts'

describe('assistant: a refusal', function () {
  this.timeout(600_000)
  let assistant: Awaited<ReturnType<typeof startAssistant>>
  before(async () => {
    assistant = await startAssistant()
  })
  after(() => assistant?.[Symbol.asyncDispose]())

  const ask = (client: OpenAI) =>
    client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hello' }] })

  it('needs a token with the scope, and a body that is one', async () => {
    const { client } = await assistant.user(['assistant:read'])
    await rejects(ask(client), { status: 403, type: 'permission_error', code: 'ForbiddenError' })
    const stranger = new OpenAI({ apiKey: 'nobody', baseURL: `${assistant.url}/v1`, maxRetries: 0 })
    await rejects(ask(stranger), {
      status: 401,
      type: 'authentication_error',
      message: /^401 the token or session is unknown/
    })
    const translated = await fetch(`${assistant.url}/translate`, { method: 'POST', body: '{}' })
    equal(translated.status, 401)
    equal(typeof (await translated.json()).error, 'string', 'as LibreTranslate says it')
    ok((await client.models.list()).data.some(({ id }) => id === 'm'))
    const { token } = await assistant.user()
    const post = (text: string) =>
      fetch(`${assistant.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: text
      })
    for (const [text, status] of [
      ['{', 400],
      ['[]', 400],
      [`{"model":"m","x":${'['.repeat(200)}${']'.repeat(200)}}`, 400],
      [`"${'x'.repeat(9_000_000)}"`, 413]
    ] as const) {
      const response = await post(text)
      equal(response.status, status)
      match(await response.text(), /"error":\{"message":/)
    }
    const guesses = Array.from({ length: 100 }, () => stranger.models.list())
    const refused = (await Promise.allSettled(guesses)).map(guess => (guess as PromiseRejectedResult).reason)
    const last = refused.find(({ status }) => status === 429)
    equal(last?.type, 'rate_limit_error')
    ok(Number(last.headers.get('retry-after')) > 0)
  })
})
