/** What a model costs, in micro-credits. */
export interface Price {
  inputPerMillion: bigint
  outputPerMillion: bigint
}

/** Tokens, as providers count them. */
export interface Usage {
  input: number
  output: number
}

const MILLION = 1_000_000n
/** of a message beside its text: role and marks */
const TOKENS_PER_MESSAGE = 16

const up = (product: bigint): bigint => (product + MILLION - 1n) / MILLION

/** Rounded up, once for input and output. */
export const costOf = ({ inputPerMillion, outputPerMillion }: Price, { input, output }: Usage): bigint =>
  up(BigInt(input) * inputPerMillion + BigInt(output) * outputPerMillion)

/**
 * The most that a call can cost: a token has at least one byte, so the bytes of the question bound its tokens, and the
 * answer has at most what was asked for, or the most that the model writes.
 */
export function mostOf(
  price: Price,
  body: Readonly<Record<string, unknown>>,
  bytes: number,
  maxOutputTokens: number
): bigint {
  const messages = Array.isArray(body.messages) ? body.messages.length : 1
  // providers differ in which of the two they obey
  const limits = [body.max_completion_tokens, body.max_tokens].filter(isCount)
  const asked = limits.length === 0 ? maxOutputTokens : Math.max(...limits)
  const answers = isCount(body.n) ? Math.min(body.n, 128) : 1
  return costOf(price, { input: bytes + messages * TOKENS_PER_MESSAGE, output: asked * answers })
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0

/** What a text has about, where nobody has counted. */
export const tokensOf = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4)

/** What a provider says it has used; undefined where it says nothing that can be read. */
export function readUsage(usage: unknown): Usage | undefined {
  const { prompt_tokens: input, completion_tokens: output = 0 } = (usage ?? {}) as Record<string, unknown>
  const isRead = [input, output].every(count => Number.isSafeInteger(count) && (count as number) >= 0)
  return isRead ? { input: input as number, output: output as number } : undefined
}
