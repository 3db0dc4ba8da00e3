import type { z } from 'zod'
import type { Verb } from '../grants.ts'

/** Words of one command; `{name}` stands for an argument, wherever it is in a word. */
export type Step = readonly string[]

/** One thing that can be done with a TV, as data: HTTP, command line, editor, booking and docs come from it. */
export interface TvOperation {
  /** <group>.<what> */
  name: string
  summary: string
  args: z.ZodObject
  /** 0 looks, 1 can be taken back, 2 disturbs who watches, 3 can break it: two signers */
  risk: 0 | 1 | 2 | 3
  verb: Verb
  /** what is sent, unless the TV's profile says otherwise; none: the agent itself does it */
  steps?: readonly Step[]
  /** what must be so afterwards, else it has failed; `is` may hold arguments */
  check?: { reading: string; is: string }
  /** readings that are the answer */
  reads?: readonly string[]
  /** ms until it is given up; default: 10,000 */
  deadlineMs?: number
}
