import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

export type * from './contract.ts'
export * from './errors.ts'

/** Virtual machines; see README.md. */
export const vm = service(declaration, async () => (await import('./create-service.ts')).createService)
