import { z } from 'zod'
import { readModule } from '../author-source.ts'
import { defineKind } from '../kind.ts'
import { singleReducer } from '../reducers.ts'

/** One run of a module: one unit. */
export const script = defineKind({
  type: 'script',
  fields: { source: z.string(), input: z.unknown().optional() },
  description: 'One run of a JavaScript module whose default export takes the input.',
  limits: { timeoutMs: 60_000, items: 1 },
  pipelineField: 'input',
  placeholders: () => ({}),
  example: {
    type: 'script',
    source: 'export default async input => ({ hello: input.name })',
    input: { name: 'world' }
  },
  check: spec => ({ ...spec, source: readModule('source', spec.source) }),
  plan: ({ source, input }) => ({
    units: 1,
    program: { kind: 'module', source },
    input: () => input,
    whole: input,
    createReducer: singleReducer
  })
})
