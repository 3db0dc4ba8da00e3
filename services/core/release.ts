import { z } from 'zod'
import { group, operation, slots } from '../host/index.ts'

const program = z.object({
  version: z.string().describe('of the program that runs'),
  former: z.string().optional().describe('version that a rollback goes back to'),
  trial: z.string().optional().describe('version that is tried next'),
  failed: z
    .object({
      version: z.string(),
      why: z.string(),
      faults: z.array(slots.fault).optional().describe('the same by name, with what stands in it')
    })
    .optional()
    .describe('what was tried last and did not work; what ran before it runs again')
})
export type Program = z.output<typeof program>

/** Both together leave a minute for the way back. */
const patience = {
  startSeconds: z.int().min(1).max(3600).default(30).describe('in which it must have started'),
  healthSeconds: z.int().min(1).max(3600).default(10).describe('after which its services must be well')
}
export type Patience = z.output<z.ZodObject<typeof patience>>

export const release = group({
  name: 'release',
  summary: 'the program of this node: what runs, another in its place, and back',
  operations: {
    program: operation({
      summary: 'Which program runs, and what became of the last that was tried',
      input: z.object({}),
      output: program,
      http: { method: 'GET', path: '/release' },
      scope: 'read',
      command: false
    }),
    update: operation({
      summary:
        'Try a signed release: the node starts as it, and as what ran before where it does not work; its signature is FILE.sig',
      input: z.object({
        path: z
          .string()
          .min(1)
          .max(4096)
          .describe('the packed release, on the machine of the node')
          .meta({ isPath: true }),
        ...patience
      }),
      output: program,
      http: { method: 'POST', path: '/release', status: 202 },
      scope: 'admin',
      // it is copied, unpacked and asked for its version
      deadlineMs: 300_000,
      command: false
    }),
    rollback: operation({
      summary: 'Go back to what ran before, with the data as it is',
      input: z.object(patience),
      output: program,
      http: { method: 'POST', path: '/release/rollback', status: 202 },
      scope: 'admin',
      command: false
    })
  }
})
