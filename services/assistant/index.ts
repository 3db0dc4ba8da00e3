import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

export * from './errors.ts'

/** One door to language models and translation; see README.md. */
export const assistant = service(declaration, async () => (await import('./create-service.ts')).createService)
