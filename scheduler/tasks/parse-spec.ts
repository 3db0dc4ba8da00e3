import { SpecError } from '../errors.ts'
import { describe, refuseReserved } from './author-source.ts'
import { keepOf } from './fields.ts'
import type { AnySpec } from './kind.ts'
import { kindOf, TASK_TYPES, type TaskSpec } from './registry.ts'
import { schema } from './schema.ts'

export { OPERATIONS } from './reductions.ts'
export type * from './schema.ts'
export { schema } from './schema.ts'

/** MB that a process may use when the spec does not say. */
export const DEFAULT_MEMORY_MB = 256

/**
 * Checks what a client handed in and gives the spec that the rest of the scheduler trusts.
 * Throws SpecError that names the field, the value and what to do.
 */
export function parseSpec(input: unknown): TaskSpec {
  if (typeof input !== 'object' || input === null)
    throw new SpecError('spec', `expected an object with \`type\`, got ${describe(input)}`)
  const type = (input as { type?: unknown }).type
  if (kindOf(type) == null)
    throw new SpecError(
      'type',
      `${type === undefined ? 'is missing' : `${describe(type)} is not a task type`}; there are ${TASK_TYPES.join(', ')}`
    )
  const { context } = input as { context?: unknown }
  // the form leaves a key `__proto__` out without a word
  if (typeof context === 'object' && context !== null) refuseReserved(context)
  const parsed = schema.safeParse(input)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    const field = issue.path.join('.') || 'spec'
    const value = issue.path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      input
    )
    const known = issue.code === 'unrecognized_keys' ? '' : `, got ${describe(value)}`
    throw new SpecError(field, `${issue.message}${known}`)
  }
  const kind = kindOf(type)!
  const { memoize } = parsed.data as AnySpec
  if (memoize && keepOf(parsed.data))
    throw new SpecError('memoize', 'is for results that come here; a dataset is the job that made it')
  return kind.check(parsed.data as never, {
    parse: parseSpec,
    kindOf,
    limit(field, items) {
      const most = kind.limits.items
      if (items > most)
        throw new SpecError(
          field,
          `${items} items inline, at most ${most} for ${kind.type}; use a range or split the job`
        )
    }
  }) as TaskSpec
}

/** ms that one slice of this task may take on a worker */
export function timeoutOf({ type, requirements }: AnySpec): number {
  return requirements.timeoutMs ?? kindOf(type)!.limits.timeoutMs
}
