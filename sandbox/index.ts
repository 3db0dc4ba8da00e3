export type * from './contract.ts'
export { createSandbox } from './create-sandbox.ts'
export * from './errors.ts'
export { isProvenStateless } from './program.ts'
export { type DecodeLimits, decodeValue, type EncodeLimits, encodeValue, valueCodec } from './value.ts'
/** Also for other programs behind walls of their own. */
export { librariesOf } from './walls.ts'
