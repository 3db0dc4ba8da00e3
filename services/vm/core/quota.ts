import { QuotaError } from '../errors.ts'

/** What one owner may register, or has. */
export interface Totals {
  machines: number
  ramMb: number
  cpu: number
  diskGb: number
}

/** @throws QuotaError where an owner who has `totals` would have more than a host allows with `more` */
export function needQuota(quotas: Totals, totals: Totals, more: Partial<Totals> = {}): void {
  for (const key of ['machines', 'ramMb', 'cpu', 'diskGb'] as const) {
    const wanted = totals[key] + (more[key] ?? 0)
    if (wanted > quotas[key])
      throw new QuotaError(`you would have ${wanted} ${key}; this host allows ${quotas[key]}`)
  }
}
