import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const MAX_CHARS = 4096
const POLL_MS = 20

/** Telegram's Bot API on loopback, as far as a bot of text needs it. */
export interface Telegram extends AsyncDisposable {
  url: string
  /** what happens to the next calls, but to those for updates */
  faults: ({ status: number; description: string; retryAfter?: number } | 'refuse')[]
  /** Somebody writes. */
  write(chat: number, text: string): void
  /** what stands in a chat, of the bot */
  texts(chat: number): string[]
  /** times at which a message was edited */
  edits: number
  /** updates that the bot has said that it has handled */
  confirmed: number
}

export async function openTelegram(token: string): Promise<Telegram> {
  const updates: { update_id: number; message: object }[] = []
  const messages: { id: number; chat: number; text: string }[] = []
  let number = 0
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const [, bot, method] = request.url!.split('/')
    if (bot !== `bot${token}`) return refuse(response, 401, 'Unauthorized')
    const body = JSON.parse(text)
    if (method === 'getUpdates') return poll(body, response)
    const fault = telegram.faults.shift()
    if (fault === 'refuse') return void request.socket.destroy()
    if (fault != null) return refuse(response, fault.status, fault.description, fault.retryAfter)
    const { chat_id, message_id, text: said } = body as { chat_id: string; message_id?: number; text: string }
    if (said.trim() === '') return refuse(response, 400, 'Bad Request: message text is empty')
    if (said.length > MAX_CHARS) return refuse(response, 400, 'Bad Request: message is too long')
    if (method === 'sendMessage') {
      const message = { id: ++number, chat: Number(chat_id), text: said }
      messages.push(message)
      return answer(response, { message_id: message.id })
    }
    const message = messages.find(({ id, chat }) => id === message_id && chat === Number(chat_id))
    if (method !== 'editMessageText' || message == null) return refuse(response, 404, 'Not Found')
    if (message.text === said) return refuse(response, 400, 'Bad Request: message is not modified')
    message.text = said
    telegram.edits++
    answer(response, { message_id })
  })

  /** What is below the offset is forgotten; waits for what is not there yet. */
  async function poll({ offset, timeout }: { offset: number; timeout: number }, response: ServerResponse) {
    while (updates.length > 0 && updates[0]!.update_id < offset) {
      updates.shift()
      telegram.confirmed++
    }
    const end = performance.now() + timeout * 1000
    while (updates.length === 0 && performance.now() < end && !response.destroyed)
      await delay(POLL_MS, undefined, { ref: false })
    answer(response, updates.slice(0, 100))
  }

  const answer = (response: ServerResponse, result: unknown): void =>
    void response.setHeader('content-type', 'application/json').end(JSON.stringify({ ok: true, result }))

  function refuse(response: ServerResponse, status: number, description: string, retryAfter?: number): void {
    const parameters = retryAfter == null ? {} : { parameters: { retry_after: retryAfter } }
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ ok: false, error_code: status, description, ...parameters }))
  }

  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const telegram: Telegram = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: [],
    edits: 0,
    confirmed: 0,
    write(chat, text) {
      const message = {
        message_id: ++number,
        chat: { id: chat },
        from: { first_name: `Person ${chat}` },
        text
      }
      updates.push({ update_id: ++number, message })
    },
    texts: chat => messages.filter(message => message.chat === chat).map(({ text }) => text),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }
  return telegram
}
