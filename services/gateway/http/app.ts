import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { type Group, isService, type Operation } from '../../host/index.ts'
import type { Accounts, Visitors } from '../accounts/index.ts'
import type { FaceInit, GatewayComponents } from '../contract.ts'
import type { createEntries } from '../entries.ts'
import type { Backlog } from '../events/backlog.ts'
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
  entries: Pick<ReturnType<typeof createEntries>, 'socket'>
  /** what this listener alone shows; default: all */
  face?: FaceInit & { backlog: Backlog }
  /** aborted when the gateway stops; whoever waits is let go */
  stopping: AbortSignal
  now: () => number
}

/** Whether a listener shows an operation: what is at the root and of the node itself, as its health, each does. */
export function shows({ face }: Pick<Context, 'face'>, group: Group, { http }: Operation): boolean {
  if (face == null || face.service === group.name || face.groups.includes(group.name)) return true
  return http.isAtRoot === true && !isService(group)
}

/** What every route may answer beside its own. */
export const problems = { default: problem }
