import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

export type * from './contract.ts'
export * from './errors.ts'
export type { Rule, Subscription } from './rule.ts'

/** Makes tables of pages and tells of what changes; see README.md. */
export const watch = service(declaration, async () => (await import('./create-service.ts')).createService)
