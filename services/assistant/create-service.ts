import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Bytes,
  type Caller,
  ConflictError,
  type HostOf,
  type Call as OperationCall,
  type ServiceOf
} from '../host/index.ts'
import { answerOf, errorAnswer, jsonAnswer, once, streamAnswer, textsOf, wholeAnswer } from './answer.ts'
import { type Asked, createAsk, type Question } from './ask.ts'
import type { Turn } from './bot/bot.ts'
import type { BotPort } from './bot/contract.ts'
import { withFormat } from './core/embedding-format.ts'
import type { declaration } from './declaration.ts'
import { chat, type Endpoint, embeddings, images, translate } from './endpoints.ts'
import { AssistantError, badRequest, noProvider, UnknownNameError } from './errors.ts'
import { createGroupCache } from './group/group-cache.ts'
import { createShrink } from './images/create-shrink.ts'
import { createJobs, shown } from './jobs.ts'
import { createLocal } from './local/embed.ts'
import { createMeasures, type Limits } from './measures.ts'
import { createCall } from './provider/call.ts'
import { createKeys } from './provider/keys.ts'
import type { Route } from './provider/provider.ts'
import { createSend, type Json, type Send } from './provider/send.ts'
import { MIGRATIONS } from './schema.ts'
import { createSimilar } from './similar.ts'
import { createCache } from './store/cache.ts'
import { createChats, createPlace, type Place } from './store/chats.ts'
import { createCredits } from './store/credits.ts'
import { createJobStore } from './store/jobs.ts'
import { createProviders } from './store/providers.ts'
import { createBuy } from './trade/buy.ts'
import { createSell, MEMO } from './trade/sell.ts'

type Own = typeof declaration

const MAX_BODY_BYTES = 8 * 1024 * 1024
const MAX_READ_BYTES = 64 * 1024 * 1024
const MAX_MEASURED_MS = 60_000
const BOOK_MS = 30_000
/** A question waits no longer to know whether another answer would do. */
const MAX_EMBEDDING_MS = 2_000
const HOUR_MS = 60 * 60_000
const MICRO = 1_000_000
const MIB = 1024 * 1024

export function createService(host: HostOf<Own>): ServiceOf<Own> {
  const { now } = host
  const db = host.database(MIGRATIONS)
  // what the process has written outlives it; two commits per call need not wait for the disk
  db.exec('PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON')
  const keys = createKeys(host.secrets('secrets'))
  const providers = createProviders(db)
  const credits = createCredits(
    db,
    () => BigInt(Math.round(host.config.quotaCredits * MICRO)),
    error => host.degraded('credits', error?.message)
  )
  const cache = createCache(db, () => host.config.cacheMb * MIB, now)
  const { send, close } = createSend(keys, now)
  let diskBytes = 0
  const measures = createMeasures(
    host.metrics,
    () => ({ memory: { cache: cache.figures().hotBytes, heap: process.memoryUsage().heapUsed }, diskBytes }),
    now
  )
  const local = createLocal(() => host.wanted.jobs)
  let decoders: Promise<Send> | undefined
  /** read when somebody asks for it */
  const localChat: Send = async (...question) => {
    decoders ??= import('./local/chat/create-chat.ts').then(({ createLocalChat }) =>
      createLocalChat(() => host.wanted, join(host.folder, 'models'))
    )
    return (await decoders)(...question)
  }
  const buy = createBuy(host.peers, now)
  const sendOf = ({ provider: { kind }, model }: Route): Send => {
    if (kind === 'peer') return buy
    if (kind !== 'local' && kind !== 'network') return send
    return model.use === 'chat' ? localChat : local
  }
  const call = createCall((route, ...question) => sendOf(route)(route, ...question), now)
  const shrink = createShrink()
  const group = createGroupCache({ host, keys, cache })
  const { ask, bring } = createAsk({
    cache,
    group,
    similar: createSimilar(() => host.config.similarModel !== '', embed),
    credits,
    providers,
    async call(routes, path, ...question) {
      if (path === images.path && host.config.imageSide > 0) await shrink.check()
      return call(routes, path, ...question)
    },
    finish: (endpoint, answer) =>
      endpoint === images && host.config.imageSide > 0
        ? shrink.images(answer, host.config.imageSide)
        : answer,
    now,
    onError: code => measures.providerFailed(code),
    onKept: error => host.degraded('cache', error?.message)
  })
  const chats = createChats(db, now)
  const ports: BotPort[] = []
  const jobs = createJobs({
    store: createJobStore(db, join(host.folder, 'jobs'), user => cache.namespaceKey(`user:${user}`)),
    draw: (question, signal) => answerOf(ask(images, question), signal),
    now,
    onError: error => host.degraded('jobs', error?.message)
  })
  let languages: { at: number; answer: Json } | undefined
  const seen = new Map<string, number>()

  /** Where there is no such model, or no quota for it, no other answer does. */
  async function embed(user: string, input: string): Promise<readonly number[] | undefined> {
    const body = { model: host.config.similarModel, input }
    try {
      const answer = await answerOf(
        ask(embeddings, { user, body, bytes: Buffer.byteLength(input) }),
        host.signal,
        MAX_EMBEDDING_MS
      )
      const [first] = withFormat(answer, false).data as { embedding: number[] }[]
      return first?.embedding
    } catch (error) {
      if (error instanceof AssistantError) return undefined
      throw error
    }
  }

  /** Who asks, and that he does; written once a minute. */
  function userOf(caller: Caller): string {
    return seeUser(personOf(caller))
  }

  function seeUser({ id, name, quota }: { id: string; name: string; quota?: bigint }): string {
    if ((seen.get(id) ?? 0) < now() - MAX_MEASURED_MS) {
      credits.see(id, name, now(), quota)
      seen.set(id, now())
    }
    return id
  }

  const answerCaller = (
    endpoint: Endpoint,
    { cacheControl, namespace }: { cacheControl?: string; namespace: 'own' | 'group' },
    call: OperationCall
  ): Promise<Bytes> =>
    answer(endpoint, userOf(call.caller), { cacheControl, isOfGroup: namespace === 'group' }, call)

  async function answer(
    endpoint: Endpoint,
    user: string,
    how: Pick<Question, 'cacheControl' | 'isOfGroup' | 'isBought'>,
    { body: stream, signal }: Pick<OperationCall, 'body' | 'signal'>
  ): Promise<Bytes> {
    const startedAt = performance.now()
    let origin = 'none'
    const done = (bytes: Bytes): Bytes => {
      measures.answered(user, endpoint.name, origin, bytes.status ?? 200, performance.now() - startedAt)
      return bytes
    }
    try {
      const { body, bytes } = await readBody(stream)
      const question = { user, body, bytes, ...how }
      const placed = await bring(endpoint, question)
      const asked = ask(endpoint, question, placed)
      origin = asked.origin
      if ('answer' in asked) return done(await given(endpoint, asked, body))
      // the caller may go before there is anything to read
      const { reader } = asked
      const leave = (): void => reader.leave()
      signal.addEventListener('abort', leave, { once: true })
      if (signal.aborted) leave()
      return done(await given(endpoint, asked, body))
    } catch (error) {
      return done(refused(error, signal, endpoint === translate))
    }
  }

  const sell = createSell({
    host,
    credits,
    providers,
    see: seeUser,
    answer: (use, user, body, signal) =>
      answer(
        use === 'chat' ? chat : embeddings,
        user,
        { cacheControl: 'no-store', isBought: true },
        { body: once(body), signal }
      )
  })

  async function startBots(): Promise<void> {
    const { botSecret, botUrl, botMessenger } = host.config
    if (botSecret !== '') {
      const { createTelegram } = await import('./bot/telegram.ts')
      const port = createTelegram(botUrl.replace(/\/+$/, ''), () => keys.read(botSecret))
      await startBot('Telegram', port, chats)
    }
    if (botMessenger) {
      const { createOwnMessenger } = await import('./bot/own-messenger.ts')
      const port = createOwnMessenger(() => host.wanted.messenger, now)
      await startBot('the messenger', port, createPlace())
    }
  }

  async function startBot(where: string, port: BotPort, chats: Place): Promise<void> {
    const { createBot } = await import('./bot/bot.ts')
    ports.push(port)
    const onHandled = (error?: Error): void => host.degraded(`bot in ${where}`, error?.message)
    const bot = createBot({ port, chats, answer: answerChat, now, onHandled })
    host.repeat(`looking for messages in ${where}`, 0, signal => bot.look(signal))
  }

  /** What the bot's model says, piece by piece. */
  async function* answerChat(
    id: string,
    name: string,
    messages: readonly Turn[],
    signal: AbortSignal
  ): AsyncGenerator<string> {
    const user = seeUser({ id, name })
    const body = { model: host.config.botModel, messages, stream: true }
    yield* textsOf(ask(chat, { user, body, bytes: Buffer.byteLength(JSON.stringify(body)) }), signal)
  }

  const limits = (): Limits => {
    const { limitMemoryMb, limitUsers, limitResponseMs, limitErrorShare, limitCpuShare, limitDiskMb } =
      host.config
    return {
      memoryMb: limitMemoryMb,
      users: limitUsers,
      responseMs: limitResponseMs,
      errorShare: limitErrorShare,
      cpuShare: limitCpuShare,
      diskMb: limitDiskMb
    }
  }

  return {
    operations: {
      chat: (how, call) => answerCaller(chat, how, call),
      embed: (how, call) => answerCaller(embeddings, how, call),
      translate: (how, call) => answerCaller(translate, how, call),

      async images({ async, ...how }, call) {
        if (async == null || async === 'false') return answerCaller(images, how, call)
        try {
          const user = userOf(call.caller)
          return jsonAnswer(shown(jobs.add({ user, ...(await readBody(call.body)) })), 202)
        } catch (error) {
          return refused(error, call.signal)
        }
      },
      async job({ id }, { caller, signal }) {
        try {
          const { job, answer } = await jobs.get(userOf(caller), id)
          return jsonAnswer({ ...shown(job), ...(answer == null ? {} : { result: answer }) })
        } catch (error) {
          return refused(error, signal)
        }
      },
      async endJob({ id }, { caller, signal }) {
        try {
          await jobs.remove(userOf(caller), id)
          return jsonAnswer({ id, object: 'job', deleted: true })
        } catch (error) {
          return refused(error, signal)
        }
      },

      async languages(_, { signal }) {
        try {
          if (languages == null || languages.at < now() - 24 * HOUR_MS) {
            const routes = providers.routes('translate')
            if (routes.length === 0) throw noProvider('translate')
            // chat alone is answered in pieces
            const { whole } = (await call(routes, '/languages', undefined, signal)) as { whole: Json }
            languages = { at: now(), answer: whole }
          }
          return jsonAnswer(languages.answer)
        } catch (error) {
          return refused(error, signal, true)
        }
      },

      models() {
        const routes = [...providers.routes('chat'), ...providers.routes('embeddings')]
        const first = new Map(routes.toReversed().map(route => [route.model.id, route]))
        return {
          object: 'list',
          data: [...first.values()].map(({ name, model }) => ({
            id: model.id,
            object: 'model',
            created: 0,
            owned_by: name
          }))
        }
      },

      seller: ({ peer }, { signal }) => host.peers.ask(peer, 'offer', {}, { signal }),
      async pay({ to, credits }, { signal }) {
        const { ledger } = host.wanted
        if (ledger == null) throw new ConflictError('there are no credits on this node')
        // the word makes it a payment for answers, the rest makes it this one and no other
        await ledger.transfer(to, credits, { memo: `${MEMO} ${randomUUID()}`, signal })
        return {}
      },

      providers: async () => ({ items: providers.list(), secrets: await keys.names() }),
      put({ name, provider }) {
        providers.put(name, provider)
        return {}
      },
      remove({ name }) {
        if (!providers.remove(name)) throw new UnknownNameError(`there is no provider ${name}`)
        return {}
      },
      async secret({ name, value }) {
        await keys.set(name, value)
        return {}
      },

      users: () => ({ items: credits.list() }),
      quota({ id, credits: quota }) {
        if (!credits.setQuota(id, quota))
          throw new UnknownNameError(`there is no user ${id}; who asks becomes one`)
        return {}
      },
      async forget({ id }) {
        if (!credits.remove(id)) throw new UnknownNameError(`there is no user ${id}`)
        seen.delete(id)
        await jobs.forget(id)
        cache.remove(`user:${id}`)
        return {}
      },
      chats: () => ({ items: chats.list() }),
      admit({ id, name }) {
        chats.admit(id, name)
        return {}
      },
      dismiss({ id }) {
        if (!chats.dismiss(id)) throw new UnknownNameError(`the bot does not answer ${id}`)
        return {}
      },
      spending: ({ days, by }) => ({ items: credits.spending(now() - (days - 1) * 24 * HOUR_MS, by) }),
      status: () => ({ items: measures.measure(limits()), cache: cache.figures() })
    },

    messages: { ...group.handlers, ...sell.handlers },

    async start() {
      await startBots()
      host.repeat('cache', HOUR_MS, async () => {
        cache.expire()
        await jobs.expire(now() - host.config.jobDays * 24 * HOUR_MS)
      })
      jobs.start(host.signal)
      // before so many others follow that it is not looked for any more
      host.repeat('payments', BOOK_MS, sell.book)
      host.repeat('measures', MAX_MEASURED_MS, async () => {
        const files = ['', '-wal'].map(end => join(host.folder, `${host.name}.sqlite${end}`))
        diskBytes = (await Promise.all(files.map(sizeOf))).reduce((a, b) => a + b, 0)
        for (const { name, value, limit, unit, isOver } of measures.measure(limits()))
          host.degraded(name, isOver ? `${value} ${unit}, the limit is ${limit}` : undefined)
      })
    },

    async stop() {
      shrink.close()
      sell.close()
      await Promise.all([close(), ...ports.map(port => port.close())])
      credits.close()
    }
  }
}

/** An answer in the form that was asked for. */
function given(endpoint: Endpoint, asked: Asked, body: Json): Promise<Bytes> {
  if (endpoint === embeddings)
    return wholeAnswer(asked, answer => withFormat(answer, body.encoding_format === 'base64'))
  if (endpoint !== chat || body.stream !== true) return wholeAnswer(asked)
  return streamAnswer(asked, (body.stream_options as Json | undefined)?.include_usage === true)
}

/** @throws what is no answer */
function refused(error: unknown, signal: AbortSignal, isPlain = false): Bytes {
  signal.throwIfAborted()
  if (error instanceof AssistantError) return errorAnswer(error, isPlain)
  throw error
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch {
    // SQLite makes and removes its files as it needs them
    return 0
  }
}

/** Accounts of people and tokens of programs are users; so is the owner at his machine. */
function personOf(caller: Caller): { id: string; name: string } {
  if (caller.is !== 'grant') return { id: 'owner', name: 'owner' }
  const { account, id } = caller.grant
  return account == null
    ? { id: `token-${id}`, name: id }
    : { id: `account-${account.id}`, name: account.name }
}

/** @throws {AssistantError} */
async function readBody(stream: AsyncIterable<Uint8Array>): Promise<{ body: Json; bytes: number }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    // who still sends would not read the answer
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk)
    else if (bytes > MAX_READ_BYTES) break
  }
  if (bytes > MAX_BODY_BYTES)
    throw new AssistantError(
      413,
      'invalid_request_error',
      'too_large',
      `the body is larger than ${MAX_BODY_BYTES} bytes`
    )
  let body: unknown
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    throw badRequest(`the body is no JSON: ${(error as Error).message.slice(0, 100)}`)
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest('the body is no JSON object')
  return { body: body as Json, bytes }
}
