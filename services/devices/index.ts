import { service } from '../host/index.ts'
import type { Devices } from './contract.ts'
import { declaration } from './declaration.ts'

export type * from './contract.ts'
export * from './errors.ts'

declare module '../host/capabilities.ts' {
  interface ServiceApis {
    devices: Devices
  }
}

/** Keeps what devices say; see README.md. */
export const devices = service(declaration, async () => (await import('./create-service.ts')).createService)
