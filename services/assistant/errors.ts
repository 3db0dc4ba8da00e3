/** What a client is told, in OpenAI's words: `type` and `code` of the error, and the HTTP status. */
export class AssistantError extends Error {
  override readonly name = 'AssistantError'
  readonly status: number
  readonly type: string
  readonly code: string
  /** of an error that passes: when to ask again */
  readonly retryAfterMs?: number
  constructor(status: number, type: string, code: string, message: string, retryAfterMs?: number) {
    super(message)
    this.status = status
    this.type = type
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

/** What a provider sends is no answer, or ended before the answer did. */
export class StreamError extends Error {
  override readonly name = 'StreamError'
}

/** What a messenger does not take from the bot. */
export class BotError extends Error {
  override readonly name = 'BotError'
}

/** No such user, provider, secret or job. */
export class UnknownNameError extends Error {
  override readonly name = 'UnknownNameError'
}

export const badRequest = (message: string, code = 'invalid_request'): AssistantError =>
  new AssistantError(400, 'invalid_request_error', code, message)

/** What the owner gave as a model is none, or does not what one does. */
export const badModel = (message: string): AssistantError =>
  new AssistantError(502, 'api_error', 'bad_model', `the local model: ${message}`)

export const noProvider = (what: string): AssistantError =>
  new AssistantError(
    503,
    'api_error',
    'no_provider',
    `nobody answers ${what} here; the owner of the node names a provider: artel assistant put NAME PROVIDER`
  )
