import type OpenAI from 'openai'
import { answerTo, usageOf } from './provider.ts'

/** micro-credits per million tokens, of the demo's model */
export const PRICE = { input: 1_500_000, output: 6_000_000 }
export const MODEL = 'small'
export const MAX_TOKENS = 200

export interface Person {
  name: string
  /** as the node calls him */
  id: string
  client: OpenAI
  /** answers that came, and those of them for which nobody was asked */
  answers: number
  saved: number
  /** micro-credits, by the usage that the provider told */
  cost: bigint
  /** answers that were not his */
  wrong: number
}

const up = (product: number): bigint => BigInt(Math.ceil(product / 1_000_000))

/** One question, every second one as a stream; whether the answer is right is noted. */
export async function ask(person: Person, question: string, isStream: boolean): Promise<string> {
  const body = {
    model: MODEL,
    temperature: 0,
    max_tokens: MAX_TOKENS,
    messages: [{ role: 'user' as const, content: question }]
  }
  const { text, origin } = await (isStream ? streamed(person, body) : plain(person, body))
  person.answers++
  if (text !== answerTo(question)) person.wrong++
  if (origin === 'hit' || origin === 'joined') person.saved++
  else {
    const { prompt_tokens, completion_tokens } = usageOf(JSON.stringify(body.messages), answerTo(question))
    person.cost += up(prompt_tokens * PRICE.input + completion_tokens * PRICE.output)
  }
  return origin
}

type Body = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'stream'>

async function plain({ client }: Person, body: Body) {
  const { data, response } = await client.chat.completions.create(body).withResponse()
  return { text: data.choices[0]?.message.content, origin: response.headers.get('artel-cache')! }
}

async function streamed({ client }: Person, body: Body) {
  const { data, response } = await client.chat.completions.create({ ...body, stream: true }).withResponse()
  let text = ''
  for await (const { choices } of data) text += choices[0]?.delta.content ?? ''
  return { text, origin: response.headers.get('artel-cache')! }
}
