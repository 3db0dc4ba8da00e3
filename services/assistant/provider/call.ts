import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Breaker, CLOSED, failedAt, tryAt } from '../core/breaker.ts'
import { decide, isPassing } from '../core/retry.ts'
import { AssistantError } from '../errors.ts'
import type { Route } from './provider.ts'
import { type Json, ProviderError, type Reply, type Send } from './send.ts'

/** Answers that say that the question is wrong, whoever is asked. */
const OF_QUESTION: ReadonlySet<number> = new Set([400, 404, 413, 422])

export type Call = (
  routes: readonly Route[],
  path: string,
  body: Json | undefined,
  signal: AbortSignal
) => Promise<Reply & { route: Route }>

/** Asks one provider after the other, each at most twice, until one begins to answer. */
export function createCall(send: Send, now: () => number, random: () => number = Math.random): Call {
  const breakers = new Map<string, Breaker>()

  return async (routes, path, body, signal) => {
    const id = randomUUID()
    let last: AssistantError | undefined
    for (const route of routes) {
      const which = JSON.stringify([route.name, route.model.id])
      for (let tries = 1; ; tries++) {
        const breaker = tryAt(breakers.get(which) ?? CLOSED, now())
        if (breaker == null) break
        breakers.set(which, breaker)
        try {
          const reply = await send(route, path, body, signal, id)
          breakers.delete(which)
          return { ...reply, route }
        } catch (error) {
          if (!(error instanceof ProviderError)) throw error
          last = told(error, route)
          // an answer that blames the question shows that it works
          if (isPassing(error.failure)) breakers.set(which, failedAt(breaker, now()))
          else breakers.delete(which)
          const decision = decide(error.failure, tries, random())
          if (decision.next === 'fail') throw last
          if (decision.next === 'provider') break
          await delay(decision.waitMs, undefined, { signal })
        }
      }
    }
    throw (
      last ??
      new AssistantError(
        503,
        'api_error',
        'provider_down',
        'every provider of the model has failed just now',
        30_000
      )
    )
  }
}

/** What a user is told: of the node's dealings with a provider no more than he needs. */
function told({ failure, message }: ProviderError, { name }: Route): AssistantError {
  if (failure.kind !== 'status') return new AssistantError(502, 'api_error', 'provider_unreachable', message)
  const { status, code, retryAfterMs } = failure
  if (OF_QUESTION.has(status))
    return new AssistantError(status, 'invalid_request_error', code ?? 'invalid_request', message)
  if (status === 429 && code !== 'insufficient_quota')
    return new AssistantError(429, 'rate_limit_error', 'provider_busy', message, retryAfterMs)
  if (status === 401 || status === 403 || status === 402 || code === 'insufficient_quota')
    return new AssistantError(
      502,
      'api_error',
      'provider_refused',
      `${name} does not serve this node (${code ?? status}); its owner must look at its key and account`
    )
  return new AssistantError(502, 'api_error', 'provider_failed', `${name} answered ${status}`)
}
