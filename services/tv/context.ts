import type { HostOf } from '../host/index.ts'
import type { declaration } from './declaration.ts'

type Use = HostOf<typeof declaration>['use']
/** What other services give. */
export type Devices = Use['devices']
export type Files = Use['files']
