import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

export * from './errors.ts'

/** A school's or firm's chat; see README.md. */
export const messenger = service(declaration, async () => (await import('./create-service.ts')).createService)
