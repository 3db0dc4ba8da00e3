import { z } from 'zod'
import { TASK_KINDS } from './registry.ts'

type Form = (typeof TASK_KINDS)[number]['form']

/** The form of every task; parse-spec.ts checks what a form cannot say. */
export const schema = z.discriminatedUnion(
  'type',
  TASK_KINDS.map(kind => kind.form) as unknown as [Form, ...Form[]]
)
