export type * from './contract.ts'
export { createSandbox } from './create-sandbox.ts'
export * from './errors.ts'
export { createNativeProgram, type NativeChild, type NativeProgram } from './native-program.ts'
export { onnxClass } from './onnx-child.ts'
export { isProvenStateless } from './program.ts'
export { pythonClass } from './python-child.ts'
/** Also for other programs behind walls of their own. */
export { assembleFilter } from './seccomp.ts'
export { type DecodeLimits, decodeValue, type EncodeLimits, encodeValue, valueCodec } from './value.ts'
export { findTools, librariesOf } from './walls.ts'
/** For a node in a page of a browser. */
export { createWebSandbox, type WebSandboxInit } from './web/create-web-sandbox.ts'
export type { Port, WebWalls } from './web/web-child.ts'
