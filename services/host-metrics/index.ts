import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

/** The smallest driver of `devices`. */
export const hostMetrics = service(
  declaration,
  async () => (await import('./create-service.ts')).createService
)
