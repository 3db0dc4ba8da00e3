export type { Directory, FindOptions } from './contract.ts'
export { createDirectory, type DirectoryComponents, type DirectoryInit } from './directory.ts'
export { ServiceKeyError } from './errors.ts'
export { COMPUTE_SERVICE, serviceCid } from './service-key.ts'
