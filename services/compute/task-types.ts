import { z } from 'zod'
import { TASK_KINDS } from '../../scheduler/index.ts'
import type { TaskSpec, TaskType } from './schema.ts'

const CID = {
  type: 'object',
  properties: { cid: { type: 'string' }, as: { type: 'string' }, size: { type: 'integer' } },
  required: ['cid']
}

/** JSON has no bytes, typed arrays or functions: what stands in their place. */
function inJson({
  zodSchema,
  jsonSchema
}: {
  zodSchema: z.core.$ZodTypes
  jsonSchema: z.core.JSONSchema.BaseSchema
}) {
  const takes = (value: unknown): boolean => z.safeParse(zodSchema, value).success
  const { type } = zodSchema._zod.def
  if (type === 'bigint') Object.assign(jsonSchema, { type: 'integer' })
  // functions are given as their source text, which the union names too
  else if (type === 'custom' && !takes(() => 0))
    Object.assign(jsonSchema, takes([]) ? { anyOf: [{ type: 'array' }, CID] } : CID)
  else if (type === 'union') {
    const choices = jsonSchema.anyOf?.map(choice => JSON.stringify(choice)) ?? []
    const distinct = [...new Set(choices)].filter(choice => choice !== '{}').map(choice => JSON.parse(choice))
    if (distinct.length > 0) jsonSchema.anyOf = distinct
  }
}

let views: TaskType[] | undefined

/** What GET /types answers. Made when first asked for: a node starts faster without. */
export function taskTypeViews(): TaskType[] {
  if (views != null) return views
  views = TASK_KINDS.map(({ type, description, example, limits, form }) => ({
    type,
    description,
    example: example as TaskSpec,
    schema: z.toJSONSchema(form, { io: 'input', unrepresentable: 'any', override: inJson }),
    limits
  }))
  return views
}
