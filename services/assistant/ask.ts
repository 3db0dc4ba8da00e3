import { cacheKey, questionOf } from './core/cache-key.ts'
import { type CacheRule, cacheRule } from './core/cacheability.ts'
import { createAssembly } from './core/chunks.ts'
import type { Endpoint } from './endpoints.ts'
import { AssistantError, badRequest, noProvider, StreamError } from './errors.ts'
import { type Flight, type Piece, type Reader, startFlight } from './flight.ts'
import { GROUP, type GroupCache } from './group/group-cache.ts'
import type { Call } from './provider/call.ts'
import type { Route } from './provider/provider.ts'
import { type Json, readError } from './provider/send.ts'
import type { Placed, Similar } from './similar.ts'
import type { Cache } from './store/cache.ts'
import type { Credits } from './store/credits.ts'
import type { Providers } from './store/providers.ts'

/** Calls of providers that run at once for one user, and for another node with all its people. */
const CALLS_PER_USER = 4
const CALLS_PER_BUYER = 16
/** What bounds the cost. Some providers take "9" for 9, and more would be written than is held. */
const COUNTS = ['n', 'max_tokens', 'max_completion_tokens']

export interface Question {
  user: string
  body: Json
  /** of the body, in bytes */
  bytes: number
  cacheControl?: string
  /** answers are shared with all who say so, and not only with oneself */
  isOfGroup?: boolean
  /** by another node, for what is sold */
  isBought?: boolean
}

/** similar: the kept answer to another question that says the same */
export type Origin = 'hit' | 'similar' | 'miss' | 'joined' | 'off'

/** A question that is being answered, or was before. */
export type Asked =
  | { origin: 'hit' | 'similar'; answer: Json }
  | { origin: Exclude<Origin, 'hit' | 'similar'>; reader: Reader; cost(): bigint }

export interface AskComponents {
  cache: Cache
  group: Pick<GroupCache, 'prepare' | 'bring' | 'offer'>
  similar: Similar
  credits: Credits
  providers: Providers
  call: Call
  /** what is made of an answer before anybody has it; throws StreamError for one that is none */
  finish(endpoint: Endpoint, answer: Json): Json | Promise<Json>
  now: () => number
  /** of a call of a provider that has failed, by the name of the failure */
  onError(code: string): void
  /** whether answers can be kept, each time that one is */
  onKept(error: Error | undefined): void
}

/**
 * Answers from the cache, joins who asks the same, or asks a provider.
 *
 * @throws {AssistantError}
 */
export function createAsk({
  cache,
  group,
  similar,
  credits,
  providers,
  call,
  finish,
  now,
  onError,
  onKept
}: AskComponents) {
  const flights = new Map<string, Flight>()
  const running = new Map<string, number>()

  function routesOf({ use, name }: Endpoint, { body: { model }, isBought }: Question): Route[] {
    if (typeof model !== 'string' && (model != null || name !== 'translate'))
      throw badRequest('model: it is no text, or missing')
    const routesTo = (id?: string): Route[] =>
      providers.routes(use, id).filter(({ provider }) => isBought !== true || provider.isSold)
    const routes = routesTo(model ?? undefined)
    if (routes.length > 0) return routes
    if (routesTo().length === 0) throw noProvider(name)
    throw new AssistantError(
      404,
      'invalid_request_error',
      'model_not_found',
      `there is no model "${String(model).slice(0, 100)}" here; /v1/models names them`
    )
  }

  /** Who may answer, and where the answer is kept. */
  function read(endpoint: Endpoint, question: Question) {
    const { user, body, cacheControl, isOfGroup } = question
    const routes = routesOf(endpoint, question)
    const { model } = routes[0]!
    const rule = cacheRule(endpoint.name, body, model.cache, cacheControl)
    const namespace = isOfGroup === true ? GROUP : `user:${user}`
    // the owner may give a name to another model
    const named = { ...body, model: model.upstream ?? model.id }
    const asked = questionOf(endpoint.name, named)
    // what is neither read nor kept has no place
    const isKept = rule.mayRead || rule.keepMs > 0
    const key = isKept ? cacheKey(cache.namespaceKey(namespace), asked) : Buffer.alloc(0)
    return { routes, model, rule, namespace, named, key, id: key.toString('hex') }
  }

  /**
   * Looks whether another node of the group has the answer, and where among questions that are like it this one is;
   * before `ask`.
   */
  async function bring(endpoint: Endpoint, question: Question): Promise<Placed | undefined> {
    const { isOfGroup, user } = question
    if (isOfGroup !== true && !similar.isOn()) return undefined
    if (isOfGroup === true) await group.prepare()
    const { rule, namespace, named, key, id } = read(endpoint, question)
    if (!rule.mayRead || cache.has(key) || flights.get(id)?.mayJoin === true) return undefined
    if (isOfGroup === true) await group.bring(key)
    if (endpoint.name !== 'chat' || cache.has(key)) return undefined
    return await similar.place(user, cache.namespaceKey(namespace), named)
  }

  function ask(endpoint: Endpoint, question: Question, placed?: Placed): Asked {
    const { user } = question
    const { routes, model, rule, namespace, key, id } = read(endpoint, question)
    if (rule.mayRead) {
      const kept = cache.get(namespace, key)
      if (kept != null) {
        credits.saved(user, model.id, now())
        return { origin: 'hit', answer: JSON.parse(kept) }
      }
      const other = flights.get(id)
      if (other?.mayJoin === true) {
        credits.saved(user, model.id, now())
        return { origin: 'joined', reader: other.join(), cost: () => 0n }
      }
      const near = placed && similar.find(placed)
      const alike = near && cache.get(namespace, near)
      if (alike != null) {
        credits.saved(user, model.id, now())
        return { origin: 'similar', answer: JSON.parse(alike) }
      }
    }
    const led = lead(endpoint, question, routes, rule, { namespace, key, placed })
    if (rule.mayRead) {
      flights.set(id, led.flight)
      led.flight.whole.then(end, end)
      function end(): void {
        if (flights.get(id) === led.flight) flights.delete(id)
      }
    }
    return {
      origin: rule.mayRead || rule.keepMs > 0 ? 'miss' : 'off',
      reader: led.flight.join(),
      cost: led.cost
    }
  }

  /** Holds what it may cost, asks, settles once, keeps the answer. */
  function lead(
    endpoint: Endpoint,
    { user, body, bytes, isBought }: Question,
    routes: readonly Route[],
    { keepMs }: CacheRule,
    { namespace, key, placed }: { namespace: string; key: Uint8Array; placed?: Placed }
  ) {
    const atOnce = running.get(user) ?? 0
    if (atOnce >= (isBought === true ? CALLS_PER_BUYER : CALLS_PER_USER))
      throw new AssistantError(
        429,
        'rate_limit_error',
        'too_many_calls',
        `you have ${atOnce} calls that run; wait for one`,
        1000
      )
    for (const field of COUNTS)
      if (body[field] != null && typeof body[field] !== 'number') throw badRequest(`${field}: write a number`)
    let most = 0n
    for (const { model } of routes) {
      // whoever of them answers
      const cost = endpoint.most(model, body, bytes)
      if (cost > most) most = cost
    }
    const hold = credits.hold(user, most)
    if (hold == null)
      throw new AssistantError(
        402,
        'insufficient_quota',
        'insufficient_quota',
        `the call may cost ${most} micro-credits, and so much is not left of your quota; ask for fewer tokens, or the owner of the node for more`
      )
    running.set(user, atOnce + 1)
    let charged = 0n
    const flight = startFlight(async (put, signal) => {
      let route: Route | undefined
      let answer: Json | undefined
      try {
        const reply = await call(routes, endpoint.path, askedOf(endpoint, body), signal)
        route = reply.route
        if ('whole' in reply) {
          endpoint.check(reply.whole)
          answer = await finish(endpoint, reply.whole)
        } else
          await passOn(reply.events, put, partial => {
            answer = partial
          })
        if (keepMs > 0 && endpoint.mayKeep(answer!)) keep({ namespace, key, placed, keepMs, route }, answer!)
        return answer!
      } catch (error) {
        if (!signal.aborted) onError(error instanceof AssistantError ? error.code : (error as Error).name)
        throw error instanceof StreamError
          ? new AssistantError(502, 'api_error', 'answer_cut', error.message)
          : error
      } finally {
        const left = running.get(user)! - 1
        if (left === 0) running.delete(user)
        else running.set(user, left)
        const cost = answer == null ? 0n : endpoint.cost(route!.model, body, answer)
        charged = credits.settle(hold, cost, routes[0]!.model.id, now())
      }
    })
    return { flight, cost: () => charged }
  }

  /** Who has his answer does not go without it because a disk is full. */
  function keep(
    {
      namespace,
      key,
      placed,
      keepMs,
      route
    }: { namespace: string; key: Uint8Array; placed?: Placed; keepMs: number; route: Route },
    answer: Json
  ): void {
    try {
      const kept = cache.put(namespace, key, JSON.stringify(answer), keepMs)
      if (kept != null && placed != null) similar.remember(placed, key)
      if (kept != null && namespace === GROUP)
        group.offer(key, kept, { provider: route.name, model: route.model.id }).catch(onKept)
      onKept(undefined)
    } catch (error) {
      onKept(error as Error)
    }
  }

  return {
    ask,
    bring,
    figures: () => ({ flights: flights.size, calls: [...running.values()].reduce((a, b) => a + b, 0) })
  }
}

/** Of a stream its usage is asked for; who does not want it does not get it. */
function askedOf({ name }: Endpoint, body: Json): Json {
  if (name !== 'chat' || body.stream !== true) return body
  const options = (body.stream_options ?? {}) as Json
  return { ...body, stream_options: { ...options, include_usage: true } }
}

/**
 * Passes pieces on as they come and puts them together.
 *
 * @param so takes the answer as far as it has come
 * @throws {StreamError} the answer ends before its end
 */
async function passOn(
  events: AsyncGenerator<string, boolean>,
  put: (piece: Piece) => void,
  so: (partial: Json) => void
): Promise<void> {
  const assembly = createAssembly()
  let last: Json = {}
  try {
    for (;;) {
      const { value, done } = await events.next()
      if (done === true) {
        if (!value && !assembly.isComplete)
          throw new StreamError('the provider ended the answer before its end')
        break
      }
      const { message } = readError(value, '')
      if (message != null) throw new StreamError('the provider broke the answer off')
      const chunk = readChunk(value)
      assembly.add(chunk)
      const { usage, ...rest } = chunk
      last = rest
      if (Array.isArray(rest.choices) && rest.choices.length > 0) put({ text: JSON.stringify(rest) })
    }
    const { usage } = assembly.answer()
    if (usage != null) put({ text: JSON.stringify({ ...last, choices: [], usage }), isUsage: true })
  } catch (error) {
    throw error instanceof AssistantError ||
      error instanceof StreamError ||
      (error as Error).name === 'AbortError'
      ? error
      : new StreamError(
          `the connection to the provider was lost (${(error as { code?: string }).code ?? 'closed'})`
        )
  } finally {
    // what was delivered is charged, also where there is no end
    so(assembly.answer())
    await events.return(false)
  }
}

function readChunk(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    throw new StreamError('a piece of the answer is no JSON')
  }
}
