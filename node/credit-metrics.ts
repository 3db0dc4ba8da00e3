import { Gauge, type Registry } from 'prom-client'
import type { Ledger } from '../ledger/index.ts'
import { CREDIT_MICRO } from '../scheduler/index.ts'

/** Figures of credits for Prometheus. Documented by `services/gateway/grafana.json`. */
export function watchCredits(registry: Registry, ledger: Pick<Ledger, 'balance'>): void {
  const gauge = (name: string, help: string, micro: () => bigint): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(Number(micro()) / Number(CREDIT_MICRO))
      }
    })
  }
  gauge('artel_credits_available', 'credits that can be spent', () => ledger.balance().available)
  gauge('artel_credits_reserved', 'credits reserved by open jobs', () => ledger.balance().reserved)
}
