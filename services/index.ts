import { account, token } from './access/index.ts'
import { analyzer } from './analyzer/index.ts'
import { assistant } from './assistant/index.ts'
import { compute, data } from './compute/index.ts'
import { credits, network, release, settings } from './core/index.ts'
import { devices } from './devices/index.ts'
import { files } from './files/index.ts'
import type { Group, ServiceModule } from './host/index.ts'
import { hostMetrics } from './host-metrics/index.ts'
import { LISTENER_TLS, messenger } from './messenger/index.ts'
import { sas } from './sas/index.ts'
import { tv } from './tv/index.ts'
import { vm } from './vm/index.ts'
import { watch } from './watcher/index.ts'

export { account, token } from './access/index.ts'
/** types of what travels about jobs */
export type * as Compute from './compute/index.ts'
export {
  answerData,
  type ComputeInit,
  compute,
  computeOf,
  data,
  type Idempotency,
  type Lending
} from './compute/index.ts'
export * from './core/index.ts'
export * from './directory/index.ts'
export type * from './gateway/index.ts'
export * from './host/index.ts'
export { analyzer, assistant, devices, files, hostMetrics, LISTENER_TLS, messenger, sas, tv, vm, watch }

/** What moves in: a folder, and a line here. */
export const SERVICES = [
  files,
  vm,
  devices,
  hostMetrics,
  sas,
  tv,
  analyzer,
  assistant,
  watch,
  messenger
] as const satisfies readonly ServiceModule[]

/** What the node itself answers. */
export const OWN_GROUPS = [
  compute,
  data,
  credits,
  network,
  settings,
  release,
  account,
  token
] as const satisfies readonly Group[]

/** HTTP API and dashboard. Loaded where they are wanted: Fastify costs other nodes start time and memory for nothing. */
export const loadGateway = () => import('./gateway/index.ts')
