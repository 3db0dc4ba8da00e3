import { service } from '../host/index.ts'
import type { ComputeInit } from './create-compute.ts'
import { compute } from './declaration.ts'

export type { Lending } from './answer-compute.ts'
export type { ComputeInit } from './create-compute.ts'
export { answerData, type DatasetView, data } from './datasets.ts'
export * from './errors.ts'
export type { Idempotency } from './idempotency.ts'
export * from './schema.ts'
export type { WebhookView } from './webhooks/index.ts'
export { compute }

/** The service of a node that has these. */
export const computeOf = (init: ComputeInit) =>
  service(compute, async () => (await import('./create-compute.ts')).createCompute(init))
