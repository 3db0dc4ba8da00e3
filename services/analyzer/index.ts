import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

export * from './errors.ts'
export { POKER_CLASSES, pokerClass } from './poker.ts'

/** Counts games and designs exactly; see README.md. */
export const analyzer = service(declaration, async () => (await import('./create-service.ts')).createService)
