import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Accounts, Visitors } from '../accounts/index.ts'
import type { GatewayComponents } from '../contract.ts'
import type { EventHub } from '../events/events.ts'
import { problem } from '../schema.ts'
import type { Grants } from './grants.ts'
import type { Tokens } from './tokens.ts'

/** Fastify with types from zod schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>

/** What the routes work with. */
export interface Context extends GatewayComponents {
  tokens: Tokens
  accounts: Accounts
  visitors: Visitors
  grants: Grants
  events: EventHub
  /** aborted when the gateway stops; whoever waits is let go */
  stopping: AbortSignal
  now: () => number
}

/** What every route may answer beside its own. */
export const problems = { default: problem }
