import { z } from 'zod'
import { jobReport, progress } from '../compute/index.ts'
import { balance, peerRow, serviceHealth, workerInfo } from '../core/index.ts'

/**
 * What travels over HTTP beside the operations, which declare theirs: problems, tokens, events of the WebSocket. Pure and
 * free of Node, so that the dashboard and other clients in a browser can import it. Times are ms since 1970.
 */

/** Media type of canonical values (sandbox/value.ts): bigint, typed arrays, bytes, NaN and −0 survive. */
export const VALUE_TYPE = 'application/vnd.artel.value'
export const PROBLEM_TYPE = 'application/problem+json'
/** subprotocol of the WebSocket; beside it a client offers `bearer.<token>` */
export const WS_PROTOCOL = 'artel.v1'
/** the same with events as canonical values, in binary messages */
export const WS_VALUES = 'artel.v1.values'

const time = z.number().describe('ms since 1970')
const count = z.number().int().nonnegative()

export const problem = z
  .looseObject({
    type: z.string().describe('urn:artel:error:<Name>'),
    title: z.string().describe('name of the error'),
    status: z.int(),
    detail: z.string().describe('what was wrong, which value, what to do')
  })
  .describe('RFC 9457')
export type Problem = z.infer<typeof problem>

// ——— events of the WebSocket

export const stats = z.object({
  time,
  load: z.number().describe('share of all cores that is busy, 0 to 1'),
  slices: count.describe('slices of others that run here now'),
  memoryMb: z.number().describe('of the sandbox processes of this node'),
  peers: count,
  workers: count
})
export type Stats = z.infer<typeof stats>

export const event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('progress'), progress }),
  z.object({ type: z.literal('job'), job: jobReport }).describe('a new job'),
  z.object({ type: z.literal('end'), job: jobReport }),
  z.object({ type: z.literal('peers'), peers: z.array(peerRow) }),
  z.object({ type: z.literal('balance'), balance }),
  z.object({ type: z.literal('worker:add'), worker: workerInfo }),
  z.object({ type: z.literal('worker:remove'), worker: workerInfo }),
  z.object({ type: z.literal('stats'), stats }).describe('each second'),
  z.object({ type: z.literal('service'), service: serviceHealth }).describe('how a service of this node is')
])
export type Event = z.infer<typeof event>
