import { service } from '../host/index.ts'
import { declaration } from './declaration.ts'

/** Android TVs over ADB; see README.md. */
export const tv = service(declaration, async () => (await import('./create-service.ts')).createService)
