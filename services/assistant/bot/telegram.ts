import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { z } from 'zod'
import { checkWayOut } from '../../../bootstrap/way-out.ts'
import { BotError } from '../errors.ts'
import type { BotPort, Update } from './contract.ts'

const MAX_CHARS = 4096
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** beside the time that the server waits for a message */
const ANSWER_MS = 30_000
const FIRST_WAIT_MS = 1000
const LAST_WAIT_MS = 60_000
/** With growing waits it is as many minutes: then somebody has to look. */
const TRIES = 15
const NOT_MODIFIED = 'message is not modified'

const answer = z.object({
  ok: z.boolean(),
  result: z.unknown(),
  description: z.string().optional(),
  error_code: z.number().optional(),
  parameters: z.object({ retry_after: z.number().min(0).max(86_400).optional() }).optional()
})
const updates = z.array(
  z.object({
    update_id: z.number(),
    message: z
      .object({
        chat: z.object({ id: z.number() }),
        from: z.object({ first_name: z.string() }).optional(),
        text: z.string().max(MAX_CHARS).optional()
      })
      .optional()
      // of a kind that nobody knows here
      .catch(undefined)
  })
)
const sent = z.object({ message_id: z.number() })

/**
 * Telegram's Bot API over HTTP.
 *
 * @param url what stands before `/bot<token>`
 * @param token is in the path of every request, so errors name the method alone
 */
export function createTelegram(url: string, token: () => Promise<string>): BotPort {
  const agent = new Agent({ keepAliveTimeout: 30_000 })

  async function once(key: string, method: string, body: object, waitMs: number, signal: AbortSignal) {
    checkWayOut()
    const { statusCode, body: stream } = await request(`${url}/bot${key}/${method}`, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS + waitMs)])
    })
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES)
        throw new BotError(`${method}: an answer of more than ${MAX_ANSWER_BYTES} bytes`)
      chunks.push(chunk)
    }
    const parsed = answer.safeParse(readJson(Buffer.concat(chunks).toString()))
    return parsed.success ? parsed.data : { ok: false, result: undefined, error_code: statusCode }
  }

  /** Until it is taken, or refused for good. @throws {BotError} */
  async function call(method: string, body: object, signal: AbortSignal, waitMs = 0): Promise<unknown> {
    const key = (await token()).trim()
    for (let tries = 1; ; tries++) {
      let waitNextMs = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), LAST_WAIT_MS)
      let why: string
      try {
        const told = await once(key, method, body, waitMs, signal)
        if (told.ok) return told.result
        why = told.description?.slice(0, 200) ?? String(told.error_code)
        if (why.includes(NOT_MODIFIED)) return undefined
        const { error_code = 500, parameters } = told
        if (error_code < 500 && error_code !== 429) throw new BotError(`${method}: ${why}`)
        if (parameters?.retry_after != null) waitNextMs = parameters.retry_after * 1000
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof BotError) throw error
        why = (error as { code?: string }).code ?? (error as Error).name
      }
      if (tries >= TRIES) throw new BotError(`${method}: ${why}, ${tries} times`)
      await delay(waitNextMs, undefined, { signal })
    }
  }

  return {
    maxChars: MAX_CHARS,
    isOpen: false,
    async updates(offset, waitMs, signal) {
      const body = { offset, timeout: Math.round(waitMs / 1000), allowed_updates: ['message'] }
      const found = updates.parse(await call('getUpdates', body, signal, waitMs))
      return found.map(
        ({ update_id: id, message }): Update => ({
          id,
          chat: String(message?.chat.id ?? ''),
          user: `chat-${message?.chat.id}`,
          name: message?.from?.first_name.slice(0, 100) ?? '',
          text: message?.text ?? ''
        })
      )
    },
    send: async (chat, text, signal) =>
      sent.parse(await call('sendMessage', { chat_id: chat, text }, signal)).message_id,
    async edit(chat, message, text, signal) {
      await call('editMessageText', { chat_id: chat, message_id: message, text }, signal)
    },
    close: () => agent.destroy()
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // a proxy in between speaks HTML; the status says enough
    return undefined
  }
}
