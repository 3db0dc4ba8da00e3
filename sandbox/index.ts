export type * from './contract.ts'
export { createSandbox } from './create-sandbox.ts'
export * from './errors.ts'
export { isProvenStateless } from './program.ts'
export { pythonClass } from './python-child.ts'
/** Also for other programs behind walls of their own. */
export { assembleFilter } from './seccomp.ts'
export { type DecodeLimits, decodeValue, type EncodeLimits, encodeValue, valueCodec } from './value.ts'
export { librariesOf } from './walls.ts'
