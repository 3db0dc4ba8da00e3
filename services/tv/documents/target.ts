import { z } from 'zod'

/** What is signed and given to nodes beside TVs. */
export const KINDS = ['campaign', 'card'] as const
export type Kind = (typeof KINDS)[number]

const MAX_TARGETS = 500

export const documentName = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} _.-]{0,59}$/u, 'must begin with a letter or digit, at most 60 characters')

/** What every document says besides what it is about. */
export const head = {
  name: documentName,
  /** counts up with each change */
  version: z.int().min(1),
  /** who made it, at the node that signed it */
  by: z.string().min(1).max(300),
  /** the selector as it was written */
  on: z.string().min(1).max(300),
  /** TVs that it named then; none: it is over */
  targets: z
    .array(z.object({ agent: z.string().min(1).max(100), tv: z.string().min(1).max(40) }))
    .max(MAX_TARGETS)
}
export type Target = { agent: string; tv: string }
