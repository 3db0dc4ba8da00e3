export {
  type AtHome,
  admits,
  allows,
  type Caller,
  type Grant,
  OWNER,
  type PeerAccess,
  type Scope,
  serviceScopes
} from './access.ts'
export { callOperation } from './call-operation.ts'
export type {
  Capabilities,
  Entered,
  Entries,
  Entry,
  FoundHomes,
  Homes,
  Jobs,
  KeyOf,
  Lockers,
  People,
  PersonAt,
  ServiceApis
} from './capabilities.ts'
export type { CallByName, CallOptions, Clients } from './client.ts'
export type {
  Check,
  Declaration,
  Health,
  Hearers,
  Host,
  HostOf,
  Secrets,
  Service,
  ServiceModule,
  ServiceOf,
  State
} from './contract.ts'
export type { Services, ServicesEvents } from './create-services.ts'
export { openDatabase, transact } from './database.ts'
export { createDeadline, startDeadline } from './deadline.ts'
export { declare, group, isService, service } from './declare.ts'
export {
  documentKind,
  type IsSigned,
  type Issued,
  judge,
  type Known,
  knownOf,
  type Sign,
  type Signed
} from './documents.ts'
export { eachOf } from './each-of.ts'
export * from './errors.ts'
export { type Field, fieldsOf, fromText, inputFrom, toWire, wireSchema } from './fields.ts'
export { hoursOf, hoursTexts, isIn, isWithin } from './hours.ts'
export {
  type Bytes,
  base64,
  bytes,
  type Call,
  type CommandPlace,
  DEFAULT_DEADLINE_MS,
  type Encoded,
  encoded,
  type Group,
  type Handlers,
  type HttpPlace,
  type Input,
  isRepeatable,
  micro,
  type Operation,
  type Operations,
  type Output,
  operation,
  type Place,
  type Progress,
  placeOf,
  type Shell,
  type Terminal
} from './operation.ts'
export { readOwnFile } from './own-file.ts'
export {
  type Answer,
  type AskOptions,
  type Exchange,
  type Item,
  type Message,
  type MessageHandlers,
  message,
  type PeerCall,
  type Peers,
  type Protocol,
  type Request
} from './protocol.ts'
export { ranked } from './ranked.ts'
export * as slots from './release/slots.ts'
export { hashOfFile, unpackRelease } from './release/unpack.ts'
export { type ServiceSettings, settingsOf } from './settings.ts'
export {
  createNonces,
  NONCE_BYTES,
  NONCE_MS,
  type Nonces,
  SIGNERS,
  type Signature,
  signersOf
} from './signers.ts'
export * from './verdict.ts'

/** What runs services; declarations do without it, also in a browser. */
export const loadHost = () => import('./create-services.ts')
