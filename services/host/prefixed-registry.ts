import { type Metric, Registry } from 'prom-client'

/** A registry whose metrics all begin with a prefix. */
export class PrefixedRegistry extends Registry {
  readonly #prefix: string

  constructor(prefix: string) {
    super()
    this.#prefix = prefix
  }

  override registerMetric<T extends string>(metric: Metric<T>): void {
    const named = metric as Metric<T> & { name: string }
    if (!named.name.startsWith(this.#prefix)) named.name = this.#prefix + named.name
    super.registerMetric(metric)
  }
}
