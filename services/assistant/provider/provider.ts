import { z } from 'zod'
import { micro } from '../../host/index.ts'

export const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'write it like my-provider')
export const modelId = z.string().min(1).max(200)

const price = micro.prefault('0')

export const model = z.strictObject({
  id: modelId.describe('as users ask for it'),
  upstream: modelId.optional().describe('as the provider calls it; default: the same'),
  use: z.enum(['chat', 'embeddings', 'translate', 'images']).default('chat'),
  inputPerMillion: price.describe(
    'micro-credits per million tokens of the question; of translations, characters'
  ),
  outputPerMillion: price.describe('micro-credits per million tokens of the answer'),
  perImage: price.describe('micro-credits per image, for each begun 1024 × 1024 pixels of it'),
  fields: z
    .array(z.string().min(1).max(100))
    .max(100)
    .default([])
    .describe(
      'fields of a question for images that pass at this price, such as num_inference_steps; others of which nobody knows what they cost are refused'
    ),
  maxOutputTokens: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(4096)
    .describe('the most that it writes where nobody asks for less; so much is reserved'),
  cache: z
    .enum(['auto', 'always', 'never'])
    .default('auto')
    .describe('auto: embeddings, translations, and chat with temperature 0 or a seed')
})
export type Model = z.output<typeof model>

/** what this node calculates with others of its network, without a provider */
export const LOCAL_MODEL = 'artel-n-grams'
/** a folder of the owner with a decoder, in `models` of the folder of the service */
const FOLDER = /^[A-Za-z0-9][\w.-]{0,79}$/

export const provider = z
  .strictObject({
    kind: z
      .enum(['openai', 'libretranslate', 'fal', 'local', 'network', 'peer'])
      .describe(
        `the protocol that it speaks; openai: also Ollama and the like; fal: images by its queue; local: nobody else, embeddings by the model ${LOCAL_MODEL}, chat by models of the owner; network: these by the workers of the network; peer: another node that sells, on what was paid to it`
      ),
    url: z
      .url({ protocol: /^https?$/ })
      .max(500)
      .optional()
      .describe('what stands before /chat/completions: https://api.example.org/v1'),
    peer: z.string().min(1).max(100).optional().describe('of kind peer: the peer id of the node that sells'),
    isSold: z
      .boolean()
      .default(false)
      .describe('the nodes in assistant.buyers may ask it, for credits that they have paid'),
    secret: name.optional().describe('name of its key; see the operation secret'),
    rank: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .describe('of those that have a model the lowest is asked first'),
    models: z.array(model).min(1).max(200)
  })
  .refine(({ kind, url }) => (url == null) === ['local', 'network', 'peer'].includes(kind), {
    path: ['url'],
    error: 'all kinds have one but local, network and peer'
  })
  .refine(({ kind, peer }) => (peer == null) === (kind !== 'peer'), {
    path: ['peer'],
    error: 'the kind peer has one'
  })
  .refine(({ kind, isSold }) => !(kind === 'peer' && isSold), {
    path: ['isSold'],
    error: 'what was bought is not sold'
  })
  .refine(
    ({ kind, models }) =>
      kind !== 'peer' || models.every(({ use }) => use === 'chat' || use === 'embeddings'),
    { path: ['models'], error: 'models of a peer have the use chat or embeddings' }
  )
  .refine(
    ({ kind, models }) =>
      kind !== 'local' ||
      models.every(({ id, upstream, use }) =>
        (upstream ?? id) === LOCAL_MODEL
          ? use === 'embeddings'
          : use === 'chat' && FOLDER.test(upstream ?? id)
      ),
    {
      path: ['models'],
      error: `local has the model ${LOCAL_MODEL}, its use is embeddings, and for chat the names of folders of yours`
    }
  )
  .refine(
    ({ kind, models }) =>
      kind !== 'network' ||
      models.every(({ id, upstream, use }) => use === 'chat' && FOLDER.test(upstream ?? id)),
    { path: ['models'], error: 'network has for chat the names of folders of yours' }
  )
  .refine(({ kind, models }) => kind !== 'fal' || models.every(({ use }) => use === 'images'), {
    path: ['models'],
    error: 'models of fal have the use images'
  })
export type Provider = z.output<typeof provider>
export type Use = Model['use']

/** One way to have a model answer. */
export interface Route {
  name: string
  provider: Provider
  model: Model
}
