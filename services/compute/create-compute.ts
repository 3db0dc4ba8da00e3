import type { HostOf, ServiceOf } from '../host/index.ts'
import { answerCompute, type Lending } from './answer-compute.ts'
import type { compute } from './declaration.ts'
import { openIdempotency } from './idempotency.ts'
import { watchJobs } from './metrics.ts'
import { createWebhooks, type WebhooksInit } from './webhooks/index.ts'

export interface ComputeInit {
  /** The data folder: its files are among those that `artel doctor` mends. */
  folder: string
  lending: Lending
  webhooks: WebhooksInit['settings']
  /** Ed25519 of the node over a domain and bytes: receivers of webhooks keep the secrets that come from it. */
  sign(domain: string, bytes: Uint8Array): Uint8Array
}

/** Jobs of this node, and what it lends to those of others: found by others while it lends. */
export const createCompute =
  ({ folder, lending, webhooks: settings, sign }: ComputeInit) =>
  (host: HostOf<typeof compute>): ServiceOf<typeof compute> => {
    const { jobs, scheduler } = host.use
    const idempotency = openIdempotency(folder, host.now)
    // closed again where a later part cannot be made: the next try finds the file free
    using opened = new DisposableStack()
    opened.defer(() => idempotency.close())
    const webhooks = createWebhooks({ folder, settings })({ scheduler, sign, log: host.log })
    const unwatch = watchJobs(host.metrics, scheduler)
    opened.move()
    let isFound = false
    function announce(): void {
      const { enabled } = lending.contribution()
      if (enabled !== isFound) host.announce(enabled)
      isFound = enabled
    }
    return {
      operations: answerCompute({ jobs, scheduler, idempotency, webhooks, lending }),
      start: announce,
      configured: announce,
      async stop() {
        unwatch()
        await webhooks.stop()
        idempotency.close()
      }
    }
  }
