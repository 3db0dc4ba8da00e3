import { service } from '../host/index.ts'
import type { Chats } from './contract.ts'
import { declaration } from './declaration.ts'

export type * from './contract.ts'
export * from './errors.ts'
export { LISTENER_TLS } from './tls-files.ts'

declare module '../host/capabilities.ts' {
  interface ServiceApis {
    messenger: Chats & { homes: Homes; lockers: Lockers }
  }
}

/** A school's or firm's chat; see README.md. */
export const messenger = service(declaration, async () => (await import('./create-service.ts')).createService)
