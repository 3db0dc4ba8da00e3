export { isGlobal } from './addresses.ts'
export type * from './contract.ts'
export type { OutboundInit } from './create-outbound.ts'
export * from './errors.ts'
export { hostOf } from './target.ts'

/** undici and what reads robots.txt come where somebody goes out. */
export const loadOutbound = () => import('./create-outbound.ts')
