import { service } from '../host/index.ts'
import type { Files } from './contract.ts'
import { declaration } from './declaration.ts'

export type * from './contract.ts'
export * from './errors.ts'

declare module '../host/capabilities.ts' {
  interface ServiceApis {
    files: Files
  }
}

/** Shares files with the network by their content; see README.md. */
export const files = service(declaration, async () => (await import('./create-service.ts')).createService)
