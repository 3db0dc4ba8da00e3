import { z } from 'zod'
import { bytes, operation } from '../../host/index.ts'

/* Mail that a person carries where the network does not reach. */

const path = z.string().min(1).max(4096).meta({ isPath: true })
const number = (what: string) => z.number().describe(what)
const wanted = {
  days: z.int().min(1).max(30).default(30).describe('what came here in so many days'),
  maxMb: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(4_000)
    .describe('of mail; messages come before files, and the newest files first'),
  files: z.boolean().default(true).describe('also the parts of files')
}
const packed = z.object({
  path: z.string(),
  bytes: number('of the file'),
  statements: number('of the roster'),
  packages: number('of keys, by which devices are added to chats'),
  envelopes: z.number(),
  left: number('envelopes that had no room')
})
const taken = z.object({
  statements: number('of the roster that were not here'),
  packages: z.number(),
  envelopes: number('that were not here'),
  fault: z.string().optional().describe('why it was not read to its end; what was read before counts')
})
export type CarriedIn = z.output<typeof taken>

const admin = { scope: 'messenger:admin', deadlineMs: 3_600_000 } as const
const FOLDER = '/messenger/admin/carried'
const MAX_CARRIED_BYTES = 2 ** 40

export const carrying = {
  carryExport: operation({
    summary:
      'Write what another part of the school may lack to a file for whoever goes there; he can read nothing of it',
    input: z.object({ path: path.describe('must not be there yet'), ...wanted }),
    output: packed,
    http: { method: 'POST', path: `${FOLDER}/to-path`, status: 201 },
    command: {
      name: 'carry-export',
      arguments: ['path'],
      examples: ['messenger carry-export /media/stick/school.mail --days 2']
    },
    ...admin
  }),
  carryImport: operation({
    summary: 'Take in a file of another part of the school; it may be brought again and again',
    input: z.object({ path }),
    output: taken,
    http: { method: 'POST', path: `${FOLDER}/from-path` },
    isIdempotent: true,
    command: {
      name: 'carry-import',
      arguments: ['path'],
      examples: ['messenger carry-import /media/stick/school.mail'],
      exit: ({ fault }: CarriedIn) => (fault == null ? 0 : 1)
    },
    ...admin
  }),
  carryOut: operation({
    summary: 'The same file, to be kept by a browser',
    input: z.object(wanted),
    output: bytes,
    http: { method: 'GET', path: FOLDER },
    command: false,
    ...admin
  }),
  carryIn: operation({
    summary: 'Take in a file that is the body',
    input: z.object({}),
    output: taken,
    http: { method: 'POST', path: FOLDER, body: 'bytes', bodyBytes: MAX_CARRIED_BYTES },
    isIdempotent: true,
    command: false,
    ...admin
  })
}
