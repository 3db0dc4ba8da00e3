import type { HostOf } from '../host/index.ts'
import type { declaration } from './declaration.ts'

type Own = HostOf<typeof declaration>
type Use = Own['use']
/** What other services give. */
export type Devices = Use['devices']
export type Files = Use['files']
export type Peers = Own['peers']
