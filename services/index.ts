export * from './directory/index.ts'
export { files } from './files/index.ts'
export type * from './gateway/index.ts'
export * from './host/index.ts'
export { vm } from './vm/index.ts'

/** HTTP API and dashboard. Loaded where they are wanted: Fastify costs other nodes start time and memory for nothing. */
export const loadGateway = () => import('./gateway/index.ts')
