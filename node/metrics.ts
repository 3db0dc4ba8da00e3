import type { ComponentLogger, Metrics } from '@libp2p/interface'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Registry } from 'prom-client'

export interface NodeMetrics {
  /** own registry, so that two nodes in one process do not share numbers */
  registry: Registry
  /** for `createLibp2p`; every component finds libp2p's Metrics interface under `metrics` */
  libp2p: (components: { logger: ComponentLogger }) => Metrics
}

export function createMetrics(): NodeMetrics {
  const registry = new Registry()
  return { registry, libp2p: prometheusMetrics({ registry }) }
}
