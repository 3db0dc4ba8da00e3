import { z } from 'zod'
import { bytes, declare, micro, NOT_FOUND, operation } from '../host/index.ts'
import { messages, offer } from './messages.ts'
import { name, provider } from './provider/provider.ts'

const none = z.object({})
const userId = z.string().min(1).max(128).describe('as the operation users shows it')
const peerId = z.string().min(1).max(100).describe('peer id of the node that sells')
const chatId = z
  .string()
  .regex(/^-?\d{1,20}$/, 'the number that the bot says')
  .describe('number of the chat')
const jobId = z
  .string()
  .regex(/^job-[0-9a-f-]{36}$/, 'the id that the job was given')
  .describe('of the job')
const at = z.number().describe('ms since 1970')

const user = z.object({
  id: z.string(),
  name: z.string(),
  quota: micro
    .optional()
    .describe('what may be spent in all; absent: as the setting assistant.quotaCredits says'),
  spent: micro,
  held: micro.describe('of calls that run'),
  seen: at
})

const measure = z.object({
  name: z.enum(['memory', 'users', 'response', 'errors', 'cpu', 'disk']),
  value: z.number(),
  limit: z.number(),
  unit: z.enum(['MB', 'users', 'ms', 'share']),
  isOver: z.boolean(),
  parts: z.record(z.string(), z.number()).optional()
})

const limit = (usual: number, what: string) =>
  z
    .number()
    .min(0)
    .max(1e9)
    .default(usual)
    .meta({ live: true })
    .describe(`figure "${what}" is above its limit from here`)

const admin = { scope: 'assistant:admin' } as const
const read = { scope: 'assistant:read' } as const
/** what OpenAI's clients ask; a body that is a stream, so that errors are as they know them */
const asked = {
  input: z.object({
    cacheControl: z.string().max(200).optional().describe('no-cache, no-store, max-age'),
    namespace: z
      .enum(['own', 'group'])
      .default('own')
      .describe('group: answers are shared with all who say so')
  }),
  output: bytes,
  scope: 'assistant:write',
  deadlineMs: 10 * 60_000,
  command: false
} as const
/** What the gateway refuses before it comes to us, as OpenAI's clients know it. */
const openAiError = ({ title, status, detail }: { title: string; status: number; detail: string }) => ({
  error: { message: detail, type: errorTypeOf(status), code: title, param: null }
})
const errorTypeOf = (status: number): string => {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'api_error'
}
/** What the gateway refuses before it comes to us, as LibreTranslate's clients know it. */
const libreTranslateError = ({ detail }: { detail: string }) => ({ error: detail })
const ofOpenAi = { isAtRoot: true, errorBody: openAiError } as const
const ofLibreTranslate = { isAtRoot: true, errorBody: libreTranslateError } as const
const asking = {
  method: 'POST',
  body: 'bytes',
  headers: { cacheControl: 'cache-control', namespace: 'artel-namespace' }
} as const
export const declaration = declare({
  name: 'assistant',
  version: 1,
  summary: 'one door to language models, images and translation, with cache and quotas',
  wants: ['jobs', 'scheduler', 'sandbox', 'ledger', 'messenger'],
  page: { icon: 'message-circle', titles: { en: 'Assistant', ru: 'Ассистент' } },
  config: z.object({
    quotaCredits: z
      .number()
      .min(0)
      .max(1e9)
      .default(0)
      .meta({ live: true })
      .describe('credits that a user may spend in all, where nothing else was said of him'),
    cacheMb: z
      .number()
      .min(1)
      .max(1e6)
      .default(2048)
      .meta({ live: true })
      .describe('answers that are kept on the disk, in MiB'),
    similarModel: z
      .string()
      .max(200)
      .default('')
      .meta({ live: true })
      .describe(
        'model of embeddings by which a chat question may have the kept answer of one that says the same in other words; none: only the same question has it'
      ),
    groupSecret: z
      .union([z.literal(''), name])
      .default('')
      .describe(
        'name of the secret that all nodes of a group have, so that they share answers of the namespace group'
      ),
    groupPeers: z
      .array(z.string().max(100))
      .max(100)
      .default([])
      .describe('peer ids of the others of the group; they must stand in allowedPeers too'),
    groupWaitMs: z
      .number()
      .min(0)
      .max(60_000)
      .default(50)
      .meta({ live: true })
      .describe('ms that a question waits at most for what another node of the group may have'),
    buyers: z
      .array(z.string().max(100))
      .max(100)
      .default([])
      .meta({ live: true })
      .describe(
        'peer ids of nodes that may ask the providers that are sold, on what they have paid; they must stand in allowedPeers too'
      ),
    imageSide: z
      .int()
      .min(0)
      .max(16_384)
      .default(0)
      .meta({ live: true })
      .describe(
        'pixels that images have at most on each side, which are then WebP; 0: as the provider makes them'
      ),
    jobDays: z
      .number()
      .min(0)
      .max(3650)
      .default(7)
      .meta({ live: true })
      .describe('days that images of jobs are kept'),
    botSecret: z
      .union([z.literal(''), name])
      .default('')
      .describe('name of the secret that is the token of a Telegram bot; none: there is no bot'),
    botMessenger: z
      .boolean()
      .default(false)
      .describe(
        "the person of this node's messenger is a bot: it answers in its chats who names it with an @, each on a quota of his own"
      ),
    botModel: z.string().max(200).default('').describe('model that the bot asks'),
    botUrl: z
      .url({ protocol: /^https?$/ })
      .max(500)
      .default('https://api.telegram.org')
      .describe("address of Telegram's Bot API"),
    limitMemoryMb: limit(1000, 'memory'),
    limitUsers: limit(50, 'users'),
    limitResponseMs: limit(10_000, 'response'),
    limitErrorShare: limit(0.05, 'errors'),
    limitCpuShare: limit(0.9, 'cpu'),
    limitDiskMb: limit(4096, 'disk')
  }),
  messages,
  errors: { UnknownNameError: NOT_FOUND },
  operations: {
    chat: operation({
      summary: 'A chat completion, whole or as server-sent events (OpenAI)',
      http: { ...asking, ...ofOpenAi, path: '/v1/chat/completions' },
      ...asked
    }),
    embed: operation({
      summary: 'Embeddings of texts, as floats or base64 (OpenAI)',
      http: { ...asking, ...ofOpenAi, path: '/v1/embeddings' },
      ...asked
    }),
    translate: operation({
      summary: 'A translation (LibreTranslate)',
      http: { ...asking, ...ofLibreTranslate, path: '/translate' },
      ...asked
    }),
    languages: operation({
      summary: 'Languages that can be translated (LibreTranslate)',
      input: none,
      output: bytes,
      http: { method: 'GET', path: '/languages', ...ofLibreTranslate },
      scope: 'assistant:read',
      deadlineMs: 5 * 60_000,
      command: false
    }),
    images: operation({
      summary: 'Images of a text (OpenAI), waited for or, with ?async, as a job that is fetched later',
      http: { ...asking, ...ofOpenAi, path: '/v1/images/generations', statuses: [202] },
      ...asked,
      input: asked.input.extend({ async: z.string().max(5).optional().describe('anything but false') })
    }),
    job: operation({
      summary: 'How a job of yours is, and when it is done its images',
      input: z.object({ id: jobId }),
      output: bytes,
      http: { method: 'GET', path: '/v1/jobs/:id', ...ofOpenAi },
      scope: 'assistant:write',
      command: false
    }),
    endJob: operation({
      summary: 'End a job of yours, and remove its images',
      input: z.object({ id: jobId }),
      output: bytes,
      http: { method: 'DELETE', path: '/v1/jobs/:id', ...ofOpenAi },
      scope: 'assistant:write',
      command: false
    }),
    models: operation({
      summary: 'Models that can be asked for (OpenAI)',
      input: none,
      output: z.object({
        object: z.literal('list'),
        data: z.array(
          z.object({ id: z.string(), object: z.literal('model'), created: z.number(), owned_by: z.string() })
        )
      }),
      http: { method: 'GET', path: '/v1/models', ...ofOpenAi },
      ...read
    }),
    providers: operation({
      summary: 'Providers, in the order in which they are asked',
      input: none,
      output: z.object({
        items: z.array(z.object({ name: z.string(), provider })),
        secrets: z.array(z.string())
      }),
      http: { method: 'GET', path: '/assistant/providers' },
      ...admin
    }),
    put: operation({
      summary: 'Name a provider with its models and prices, or change it',
      input: z.object({ name, provider }),
      output: none,
      http: { method: 'PUT', path: '/assistant/providers/:name' },
      ...admin,
      command: { arguments: ['name', 'provider'], examples: ['assistant put ollama "$(cat provider.json)"'] }
    }),
    remove: operation({
      summary: 'Ask a provider no more',
      input: z.object({ name }),
      output: none,
      http: { method: 'DELETE', path: '/assistant/providers/:name' },
      ...admin,
      command: { arguments: ['name'] }
    }),
    secret: operation({
      summary: 'Keep the key of a provider; empty: forget it',
      input: z.object({ name, value: z.string().max(500) }),
      output: none,
      http: { method: 'PUT', path: '/assistant/secrets/:name' },
      ...admin,
      command: { arguments: ['name', 'value'], examples: ['assistant secret openai "$(cat key)"'] }
    }),
    seller: operation({
      summary: 'What another node sells to this one, and what is left of what was paid to it',
      input: z.object({ peer: peerId }),
      output: offer,
      http: { method: 'GET', path: '/assistant/sellers/:peer' },
      ...admin,
      command: { arguments: ['peer'] }
    }),
    pay: operation({
      summary: 'Pay another node beforehand for answers of its providers',
      input: z.object({ to: peerId, credits: micro }),
      output: none,
      http: { method: 'POST', path: '/assistant/pay' },
      ...admin,
      deadlineMs: 60_000,
      command: {
        arguments: ['to', 'credits'],
        confirm: ({ to, credits }: { to: string; credits: bigint }) =>
          `Pay ${Number(credits) / 1e6} credits to ${to}?`
      }
    }),
    users: operation({
      summary: 'Who asks, with quotas and what was spent',
      input: none,
      output: z.object({ items: z.array(user) }),
      http: { method: 'GET', path: '/assistant/users' },
      ...admin
    }),
    quota: operation({
      summary: 'What a user may spend in all; without credits: as everybody',
      input: z.object({ id: userId, credits: micro.optional() }),
      output: none,
      http: { method: 'PUT', path: '/assistant/users/:id' },
      ...admin,
      command: { arguments: ['id', 'credits'] }
    }),
    forget: operation({
      summary:
        'Forget a user, what he has spent, and his answers; a token or account is ended where it was made',
      input: z.object({ id: userId }),
      output: none,
      http: { method: 'DELETE', path: '/assistant/users/:id' },
      ...admin,
      command: { arguments: ['id'] }
    }),
    chats: operation({
      summary: 'Whom the bot answers',
      input: none,
      output: z.object({ items: z.array(z.object({ id: z.string(), name: z.string() })) }),
      http: { method: 'GET', path: '/assistant/chats' },
      ...admin
    }),
    admit: operation({
      summary: 'Have the bot answer a chat, which becomes the user chat-ID',
      input: z.object({ id: chatId, name: z.string().max(100).default('') }),
      output: none,
      http: { method: 'PUT', path: '/assistant/chats/:id' },
      ...admin,
      command: { arguments: ['id', 'name'] }
    }),
    dismiss: operation({
      summary: 'Have the bot answer a chat no more',
      input: z.object({ id: chatId }),
      output: none,
      http: { method: 'DELETE', path: '/assistant/chats/:id' },
      ...admin,
      command: { arguments: ['id'] }
    }),
    spending: operation({
      summary: 'What was spent and saved, by day, user or model',
      input: z.object({
        days: z.int().min(1).max(366).default(30),
        by: z.enum(['day', 'user', 'model']).default('day')
      }),
      output: z.object({
        items: z.array(
          z.object({
            key: z.string().describe('day as 2026-11-30, id of the user, or the model'),
            calls: z.number().describe('of providers'),
            saved: z.number().describe('answers for which no provider was asked'),
            cost: micro
          })
        )
      }),
      http: { method: 'GET', path: '/assistant/spending' },
      ...admin
    }),
    status: operation({
      summary: 'Memory, users, response time, errors, CPU and disk, each with its limit',
      input: none,
      output: z.object({
        items: z.array(measure),
        cache: z.object({ entries: z.number(), bytes: z.number(), hotBytes: z.number() })
      }),
      http: { method: 'GET', path: '/assistant/status' },
      ...read
    })
  }
})
