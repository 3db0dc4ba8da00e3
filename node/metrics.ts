import type { ComponentLogger, Metrics } from '@libp2p/interface'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Gauge, Registry } from 'prom-client'
import type { Wall } from '../sandbox/index.ts'
import type { Services } from '../services/index.ts'

// prom-client's histogram of the event loop wakes an idle node a hundred times in a second, which was two thirds of what it costs.
// nodejs_eventloop_lag_seconds stays: it is measured when somebody asks.
const NEVER_MS = 2 ** 31 - 1
const LAGS = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99']

export interface NodeMetrics {
  /** own registry, so that two nodes in one process do not share numbers */
  registry: Registry
  /** for `createLibp2p`; every component finds libp2p's Metrics interface under `metrics` */
  libp2p: (components: { logger: ComponentLogger }) => Metrics
  /** 1 or 0 for each wall of the sandbox */
  walls(walls: readonly Wall[]): void
}

export function createMetrics(): NodeMetrics {
  const registry = new Registry()
  const wall = new Gauge({
    name: 'artel_sandbox_wall',
    help: 'whether a wall of the sandbox stands; strangers are served only where all do',
    labelNames: ['wall'],
    registers: [registry]
  })
  return {
    registry,
    libp2p: components => {
      const defaultMetrics = { eventLoopMonitoringPrecision: NEVER_MS }
      const metrics = prometheusMetrics({ registry, defaultMetrics })(components)
      for (const lag of LAGS) registry.removeSingleMetric(`nodejs_eventloop_lag_${lag}_seconds`)
      return metrics
    },
    walls: walls => {
      for (const { name, present } of walls) wall.set({ wall: name }, present ? 1 : 0)
    }
  }
}

/** Of the node, and of the services that run. */
export async function metricsOf(node: {
  registry: Registry
  services: Pick<Services, 'metrics'>
}): Promise<string> {
  return [await node.registry.metrics(), await node.services.metrics().metrics()].join('\n')
}
