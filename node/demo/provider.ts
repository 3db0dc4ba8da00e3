import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What goes wrong with a call: an error, a connection that is lost, or a stream that ends wrongly. */
export type Fault =
  | { status: number; code?: string; message?: string; retryAfter?: string }
  | 'refuse'
  | 'cut-before'
  | 'cut'
  | 'no-done'
  | 'silent-end'
  | 'error-event'
  | 'no-usage'
  | 'filtered'
  | 'not-json'

/** A provider of language models on loopback, which speaks OpenAI's protocol and LibreTranslate's, and can fail. */
export interface Provider extends AsyncDisposable {
  /** what OpenAI's clients call the base URL */
  url: string
  /** of calls, in their order; without one all goes well */
  faults: Fault[]
  /** ms between two pieces of a stream, and before a whole answer */
  pieceMs: number
  /** calls that came with the right key */
  calls: number
  /** calls whose caller went before the end */
  left: number
  /** bodies, in their order */
  bodies: Record<string, unknown>[]
}

type Body = Record<string, unknown> & { messages?: { content?: unknown }[] }

/** What it says that an answer took. */
export const usageOf = (question: string, answer: string) => ({
  prompt_tokens: Math.ceil(question.length / 4),
  completion_tokens: Math.ceil(answer.length / 4),
  total_tokens: Math.ceil(question.length / 4) + Math.ceil(answer.length / 4)
})

/** What it answers to a question. */
export const answerTo = (question: string): string => `You said: ${question}. That is all I know.`

export async function openProvider(key: string): Promise<Provider> {
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const provider: Provider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    faults: [],
    pieceMs: 0,
    calls: 0,
    left: 0,
    bodies: [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk as Uint8Array)
    const { pathname } = new URL(request.url!, 'http://provider')
    if (request.method === 'GET' && pathname === '/v1/languages')
      return json(response, 200, [{ code: 'ru', name: 'Russian', targets: ['en'] }])
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Body
    if (request.headers.authorization !== `Bearer ${key}` && body.api_key !== key)
      return json(response, 401, {
        error: { message: `Incorrect API key provided: ${key}`, code: 'invalid_api_key' }
      })
    provider.calls++
    provider.bodies.push(body)
    response.once('close', () => {
      if (!response.writableFinished) provider.left++
    })
    const fault = provider.faults.shift()
    if (fault === 'refuse') return void request.socket.destroy()
    if (typeof fault === 'object') {
      const { status, code, message = `fault ${status}`, retryAfter } = fault
      if (retryAfter != null) response.setHeader('retry-after', retryAfter)
      return json(response, status, { error: { message, type: 'error', code: code ?? null, param: null } })
    }
    if (pathname === '/v1/images/generations') {
      await delay(provider.pieceMs, undefined, { ref: false })
      const b64_json = Buffer.from(`image of ${body.prompt}`).toString('base64')
      return json(response, 200, {
        created: 1,
        data: Array.from({ length: Number(body.n ?? 1) }, () => ({ b64_json }))
      })
    }
    if (pathname === '/v1/embeddings') return json(response, 200, embeddingsOf(body))
    if (pathname === '/v1/translate')
      return json(response, 200, { translatedText: `${body.source}→${body.target}: ${body.q}` })
    if (pathname !== '/v1/chat/completions')
      return json(response, 404, { error: { message: 'no such path' } })
    await chat(body, fault, response)
  }

  async function chat(body: Body, fault: Fault | undefined, response: ServerResponse): Promise<void> {
    const question = JSON.stringify(body.messages)
    const said = String(body.messages?.at(-1)?.content ?? '')
    const text = answerTo(said)
    const reason = fault === 'filtered' ? 'content_filter' : 'stop'
    const head = {
      id: `chatcmpl-${provider.calls}`,
      created: 1_700_000_000,
      model: body.model,
      system_fingerprint: 'fp'
    }
    const usage = fault === 'no-usage' ? undefined : usageOf(question, text)
    if (body.stream !== true) {
      await delay(provider.pieceMs, undefined, { ref: false })
      if (fault === 'cut-before' || fault === 'cut') return void response.destroy()
      if (fault === 'not-json')
        return void response.setHeader('content-type', 'application/json').end('<html>')
      const message = { role: 'assistant', content: text, refusal: null }
      const choices = [{ index: 0, message, logprobs: null, finish_reason: reason }]
      return json(response, 200, { ...head, object: 'chat.completion', choices, usage })
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    if (fault === 'cut-before') return void response.destroy()
    const wantsUsage =
      (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true
    const put = (choices: object[], more: object = wantsUsage ? { usage: null } : {}): void =>
      void response.write(
        `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...more })}\n\n`
      )
    const words = text.split(/(?<= )/)
    put([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }])
    for (const [i, word] of words.entries()) {
      await delay(provider.pieceMs, undefined, { ref: false })
      if (response.destroyed) return
      if (i === 3) {
        if (fault === 'cut') return void response.destroy()
        if (fault === 'silent-end') return void response.end()
        if (fault === 'error-event') {
          response.write('data: {"error":{"message":"overloaded","code":"server_error"}}\n\n')
          return void response.end()
        }
      }
      response.write(': ping\n\n')
      put([{ index: 0, delta: { content: word }, finish_reason: null }])
    }
    put([{ index: 0, delta: {}, finish_reason: reason }])
    if (wantsUsage && usage != null) put([], { usage })
    if (fault !== 'no-done') response.write('data: [DONE]\n\n')
    response.end()
  }

  return provider
}

/** Four numbers for each text; always numbers, as many servers do whatever is asked. */
function embeddingsOf({ input, model }: Body): object {
  const texts = [input].flat().map(String)
  return {
    object: 'list',
    model,
    data: texts.map((text, index) => ({
      object: 'embedding',
      index,
      embedding: [text.length, 0.5, -0.25, text.charCodeAt(0)]
    })),
    usage: { prompt_tokens: texts.join('').length, total_tokens: texts.join('').length }
  }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}
