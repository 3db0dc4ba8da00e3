import { z } from 'zod'
import { bytes, declare, FULL, NETWORK, NOT_FOUND, operation, USAGE } from '../host/index.ts'
import { messages } from './messages.ts'

const file = z.string().min(1).max(300).describe('a CID, or a name that this node gave it')
const cid = z.string().max(100)
const replicas = z.int().min(0).max(100)
const path = z
  .string()
  .max(4096)
  .transform(text => text.split('/').filter(name => name !== ''))

const holder = z.object({
  peer: z.string(),
  state: z.enum(['asked', 'copying', 'held', 'proved']),
  bytes: z.number(),
  seenAt: z.number(),
  provedAt: z.number().optional()
})

const info = z.object({
  cid,
  type: z.enum(['file', 'folder']),
  size: z.number().describe('bytes of the file, or of all files in the folder'),
  names: z.array(z.object({ name: z.string(), version: z.number(), at: z.number() })),
  cost: z.number().describe('bytes of the quota'),
  blocks: z.number(),
  isWhole: z.boolean().describe('all of it is here'),
  pinned: z.boolean(),
  pinnedAt: z.number().optional().describe('ms since 1970'),
  replicas: z
    .object({ wanted: z.number(), proved: z.number() })
    .describe('copies on other nodes: how many shall be, and those that proved themselves'),
  holders: z.array(holder)
})

const added = z.object({
  cid,
  type: z.enum(['file', 'folder']),
  size: z.number(),
  name: z.string().optional(),
  version: z.number().optional()
})

const progress = z.object({ done: z.number(), total: z.number().optional() })
const transfer = progress.extend({ id: z.number(), what: z.enum(['add', 'fetch']), file: z.string() })

const megabytes = (usual: number) => z.int().min(0).max(1e9).default(usual).meta({ live: true })
const seconds = (usual: number) => z.int().min(1).max(1e7).default(usual).meta({ live: true })

export const declaration = declare({
  name: 'files',
  version: 1,
  summary: 'share files by their content',
  config: z.object({
    quotaMb: megabytes(102_400).describe('MB of this disk for the files of this node'),
    largestMb: megabytes(102_400).describe('MB of the largest file or folder that is taken from others'),
    replicas: replicas
      .default(0)
      .meta({ live: true })
      .describe('copies of each file on other nodes, where nobody says how many'),
    giveAtOnce: z
      .int()
      .min(1)
      .max(1000)
      .default(8)
      .meta({ live: true })
      .describe('nodes that are given blocks at once; others hear that this one is busy, and come again'),
    lendMb: megabytes(0).describe(
      'MB of this disk lent to the files of files.allowedPeers, in all; 0 lends nothing'
    ),
    lendPerPeerMb: megabytes(1024).describe('MB of this disk lent to the files of one peer'),
    graceSeconds: seconds(600).describe(
      'a node that holds a copy and says nothing for this long is replaced'
    ),
    checkSeconds: seconds(600).describe('how often a node that holds a copy must prove that it has it')
  }),
  messages,
  errors: {
    UnknownFileError: NOT_FOUND,
    FileNameError: USAGE,
    FilePathError: USAGE,
    FileRangeError: { ...USAGE, status: 416 },
    DagError: { ...USAGE, status: 422 },
    QuotaError: FULL,
    DiskFullError: FULL,
    BlockMissingError: NETWORK,
    CrowdedError: NETWORK
  },
  operations: {
    add: operation({
      summary: 'Share a file or folder of this machine',
      input: z.object({
        path: z.string().min(1).max(4096).describe('of the file or folder').meta({ isPath: true }),
        name: z.string().max(300).optional().describe('default: that of the file'),
        replicas: replicas.optional().describe('copies on other nodes')
      }),
      output: added,
      progress,
      http: { method: 'POST', path: '/files/from-path', status: 201 },
      // it reads whatever the node may read
      scope: 'files:admin',
      command: {
        arguments: ['path'],
        examples: ['files add holiday.jpg', 'files add ./thesis --replicas 3'],
        show: ({ cid, name }: z.output<typeof added>) => `${cid} ${name}`
      }
    }),
    get: operation({
      summary: 'Write a shared file or folder to a path of this machine',
      input: z.object({
        file,
        path: z.string().min(1).max(4096).describe('must not be there yet').meta({ isPath: true }),
        version: z.int().positive().optional().describe('of a name; default: the newest')
      }),
      output: info,
      progress,
      http: { method: 'POST', path: '/files/to-path' },
      // it writes wherever the node may write
      scope: 'files:admin',
      command: { arguments: ['file', 'path'], examples: ['files get holiday.jpg ./holiday.jpg'] }
    }),
    upload: operation({
      summary: 'Share the bytes of the body',
      input: z.object({
        name: z.string().max(300).optional(),
        replicas: replicas.optional()
      }),
      output: added,
      progress,
      http: { method: 'POST', path: '/files', status: 201, body: 'bytes', bodyBytes: 2 ** 40 },
      scope: 'files:write',
      command: false
    }),
    download: operation({
      summary: 'The bytes of a file, or of a range of it',
      input: z.object({
        file,
        path: path.optional().describe('to a file in a folder'),
        version: z.int().positive().optional(),
        preview: z.boolean().optional().describe('pictures and text with their type, for looking at'),
        range: z.string().max(200).optional(),
        ifNoneMatch: z.string().max(2000).optional()
      }),
      output: bytes,
      http: {
        method: 'GET',
        path: '/files/content',
        headers: { range: 'range', ifNoneMatch: 'if-none-match' }
      },
      scope: 'files:read',
      command: false
    }),
    list: operation({
      summary: 'Files that this node keeps, the newest first',
      input: z.object({
        limit: z.int().min(1).max(500).default(50),
        cursor: z
          .string()
          .regex(/^\d{1,16}\.\d{1,16}$/)
          .optional()
          .describe('next of the page before')
      }),
      output: z.object({ items: z.array(info), next: z.string().optional() }),
      http: { method: 'GET', path: '/files' },
      scope: 'files:read',
      command: { show: ({ items }: { items: z.output<typeof info>[] }) => items.map(lineOf).join('\n') }
    }),
    info: operation({
      summary: 'What this node knows of a file, and who holds copies',
      input: z.object({ file }),
      output: info,
      http: { method: 'GET', path: '/files/info' },
      scope: 'files:read',
      command: { arguments: ['file'] }
    }),
    versions: operation({
      summary: 'What a name stood for, the newest first',
      input: z.object({ name: z.string().min(1).max(300).describe('as it was given to add') }),
      output: z.object({
        items: z.array(z.object({ name: z.string(), version: z.number(), cid, at: z.number() }))
      }),
      http: { method: 'GET', path: '/files/versions' },
      scope: 'files:read',
      command: { arguments: ['name'] }
    }),
    entries: operation({
      summary: 'What is in a folder',
      input: z.object({
        file,
        path: path.optional().describe('names from the root to a folder in it'),
        offset: z.int().min(0).max(1e9).default(0),
        limit: z.int().min(1).max(1000).default(100)
      }),
      output: z.object({ items: z.array(z.object({ name: z.string(), cid })), next: z.number().optional() }),
      http: { method: 'GET', path: '/files/entries' },
      scope: 'files:read',
      command: { arguments: ['file', 'path'] }
    }),
    pin: operation({
      summary: 'Keep a file, here and on other nodes',
      input: z.object({ file, replicas: replicas.optional().describe('copies on other nodes') }),
      output: info,
      progress,
      http: { method: 'PUT', path: '/files/pin' },
      scope: 'files:write',
      command: { arguments: ['file'], examples: ['files pin holiday.jpg --replicas 2'] }
    }),
    unpin: operation({
      summary: 'Let a file go, here and on the nodes that hold it; a name with all its versions',
      input: z.object({ file }),
      output: z.object({}),
      http: { method: 'DELETE', path: '/files/pin' },
      scope: 'files:write',
      command: {
        arguments: ['file'],
        confirm: ({ file }: { file: string }) => `Let go of ${file} here and on every node that holds it?`
      }
    }),
    status: operation({
      summary: 'What takes how much, and what is on its way',
      input: z.object({}),
      output: z.object({
        usage: z.object({ own: z.number(), lent: z.number() }).describe('bytes of the quotas'),
        quota: z.object({ own: z.number(), lent: z.number() }),
        transfers: z.array(transfer)
      }),
      http: { method: 'GET', path: '/files/status' },
      scope: 'files:read'
    })
  }
})

const lineOf = ({ cid, size, names, replicas }: z.output<typeof info>): string =>
  `${cid}  ${size}  ${replicas.proved}/${replicas.wanted}  ${names.map(({ name, version }) => `${name} (${version})`).join(', ')}`
