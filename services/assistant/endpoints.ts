import type { Endpoint as Name } from './core/cacheability.ts'
import { type Completion, isKeepable } from './core/chunks.ts'
import { hasEmbeddings } from './core/embedding-format.ts'
import { imagesAsked } from './core/image-price.ts'
import { costOf, mostOf, readUsage, tokensOf, type Usage } from './core/price.ts'
import { StreamError } from './errors.ts'
import type { Model, Use } from './provider/provider.ts'
import type { Json } from './provider/send.ts'

/** What differs between the kinds of questions. */
export interface Endpoint {
  name: Name
  use: Use
  path: string
  /** micro-credits that the answer costs at most */
  most(model: Model, body: Json, bytes: number): bigint
  /** what it cost; where the provider does not say what it took, by our count of what there is of the answer */
  cost(model: Model, body: Json, answer: Json): bigint
  /** @throws {StreamError} it is no answer */
  check(answer: Json): void
  mayKeep(answer: Json): boolean
}

export const chat: Endpoint = {
  name: 'chat',
  use: 'chat',
  path: '/chat/completions',
  most: (model, body, bytes) => mostOf(model, body, bytes, model.maxOutputTokens),
  cost: (model, { messages }, answer) =>
    costOf(
      model,
      readUsage(answer.usage) ?? {
        input: tokensOf(JSON.stringify(messages ?? '')),
        output: ((answer.choices ?? []) as { message?: Json }[]).reduce(
          (sum, { message }) => sum + tokensOf(textOf(message)),
          0
        )
      }
    ),
  check({ choices }) {
    const isOne = Array.isArray(choices) && choices.every(choice => isObject(choice?.message))
    if (!isOne) throw new StreamError('the provider answered with no list of choices')
  },
  mayKeep: answer => isKeepable(answer as Completion)
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

function textOf({ content, reasoning_content, tool_calls, refusal }: Json = {}): string {
  return [content, reasoning_content, refusal]
    .filter(text => typeof text === 'string')
    .concat(tool_calls == null ? [] : JSON.stringify(tool_calls))
    .join('')
}

export const embeddings: Endpoint = {
  name: 'embeddings',
  use: 'embeddings',
  path: '/embeddings',
  most: (model, { input }, bytes) => mostOf(model, { messages: [input].flat(), max_tokens: 0 }, bytes, 0),
  cost: (model, { input }, { usage }) =>
    costOf(model, readUsage(usage) ?? { input: tokensOf(JSON.stringify(input ?? '')), output: 0 }),
  check(answer) {
    if (!hasEmbeddings(answer)) throw new StreamError('the provider answered with no list of embeddings')
  },
  mayKeep: () => true
}

/** What is charged of a translation are its characters. */
const characters = ({ q }: Json): Usage => ({
  input: [q].flat().reduce<number>((sum, text) => sum + String(text).length, 0),
  output: 0
})

export const translate: Endpoint = {
  name: 'translate',
  use: 'translate',
  path: '/translate',
  most: (model, body, bytes) => mostOf(model, {}, Math.max(bytes, characters(body).input), 0),
  cost: (model, body) => costOf(model, characters(body)),
  check({ translatedText }) {
    if (translatedText == null) throw new StreamError('the provider answered with no translation')
  },
  mayKeep: () => true
}

export const images: Endpoint = {
  name: 'images',
  use: 'images',
  path: '/images/generations',
  most({ perImage, fields }, body) {
    const { images, parts } = imagesAsked(body, fields)
    return perImage * BigInt(images * parts)
  },
  cost: ({ perImage, fields }, body, { data }) =>
    perImage * BigInt((data as unknown[]).length * imagesAsked(body, fields).parts),
  check({ data }) {
    if (!Array.isArray(data)) throw new StreamError('the provider answered with no list of images')
  },
  mayKeep: () => true
}
