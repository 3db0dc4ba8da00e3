import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

/** Gaming machines over SAS; see README.md. */
export const sas = service(declaration, async () => (await import('./create-service.ts')).createService)
