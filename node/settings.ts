import { z } from 'zod'
import { networkSettingsSchema } from '../bootstrap/index.ts'
import { QUIET_HOURS, TASK_TYPES } from '../scheduler/words.ts'
import { SERVICES, type ServiceModule, settingsOf } from '../services/index.ts'
import { homeFolder } from './home.ts'

const own = z.strictObject({
  data: z
    .string()
    .min(1)
    .default(homeFolder)
    .describe('folder of key, ledger, jobs and blocks; one running node per folder'),
  profile: z
    .enum(['full', 'device'])
    .default('full')
    .describe('device: for a board beside machines, with nothing but services like devices'),
  logLevel: z
    .enum(['silent', 'error', 'warn', 'info', 'debug', 'trace'])
    .default('info')
    .describe('least important messages to log'),
  logFormat: z
    .enum(['auto', 'json', 'pretty'])
    .default('auto')
    .describe('how to log on standard error; auto is pretty on a terminal'),
  logFile: z
    .string()
    .min(1)
    .optional()
    .describe('file to log into instead, as JSON; FILE.1, FILE.2, … are those before'),
  logFileMb: z
    .int()
    .min(1)
    .max(10_240)
    .default(10)
    .describe('a log file has at most so many MB; a new one begins then, and every day'),
  logFiles: z.int().min(1).max(365).default(7).describe('log files that are kept beside the newest'),
  releaseSigners: z
    .array(z.string().min(40).max(100))
    .default([])
    .describe('peer ids whose signed releases artel update takes, beside those of this node itself')
    .meta({ live: true }),
  metrics: z.boolean().default(true).describe('collect Prometheus metrics'),
  compute: z.boolean().default(true).describe('lend CPU to the jobs of others').meta({ live: true }),
  slots: z
    .int()
    .min(1)
    .max(1024)
    .optional()
    .describe('slices of others that run at the same time; default: one less than the cores')
    .meta({ live: true }),
  memoryMb: z
    .int()
    .min(16)
    .max(65_536)
    .default(512)
    .describe('memory of one sandbox process, in MB; jobs want 256 unless they say otherwise')
    .meta({ live: true }),
  maxRamMb: z
    .int()
    .min(16)
    .optional()
    .describe('memory of all sandbox processes together, in MB; default: half of the machine')
    .meta({ live: true }),
  maxSliceSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(600)
    .describe('longest time that one slice of others may take here, whatever its requester asks for')
    .meta({ live: true }),
  minPrice: z
    .number()
    .min(0)
    .max(1e6)
    .default(0)
    .describe('least credits per CPU second to work for; the base price is 0.01')
    .meta({ live: true }),
  priceMultiplier: z
    .number()
    .min(0.01)
    .max(100)
    .default(1)
    .describe('what to ask beside the base price: 2 is twice as much')
    .meta({ live: true }),
  taskTypes: z
    .array(z.enum(TASK_TYPES))
    .default([])
    .describe('task types to work on; default: all')
    .meta({ live: true }),
  tags: z
    .array(z.string().min(1).max(32))
    .max(16)
    .default([])
    .describe('abilities of this machine that jobs may ask for, such as gpu')
    .meta({ live: true }),
  quietHours: z
    .array(z.string().regex(QUIET_HOURS, 'must look like 22:00-07:00'))
    .default([])
    .describe('hours of the day when nothing is lent, in local time: 22:00-07:00')
    .meta({ live: true }),
  onlyIdle: z
    .boolean()
    .default(false)
    .describe('lend only while nothing else keeps this machine busy')
    .meta({ live: true }),
  allowedRequesters: z
    .array(z.string())
    .default([])
    .describe('peer ids to work for and no others; default: everybody')
    .meta({ live: true }),
  deniedRequesters: z.array(z.string()).default([]).describe('peer ids not to work for').meta({ live: true }),
  delegateFor: z
    .array(z.string())
    .default([])
    .describe(
      'peer ids whose jobs this node coordinates when they delegate them; * for everybody; default: nobody'
    ),
  trustedPeers: z
    .array(z.string())
    .default([])
    .describe('peer ids whose tasks may run even where a wall of the sandbox is missing; * for everybody')
    .meta({ live: true })
})

const gateway = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe('serve the HTTP API and the dashboard; `artel start` does unless it is told false'),
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('address to serve them on; loopback only, unless told'),
  port: z
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe('port to serve them on; default: 8080, or a free one where that is in use'),
  volunteers: z
    .boolean()
    .default(false)
    .describe('serve /volunteer to everybody: who opens that page may lend a tab of the browser'),
  origins: z
    .array(z.string().regex(/^https?:\/\/[^/]+$/, 'must look like https://example.org'))
    .default([])
    .describe('web pages beside the dashboard that may call the API, as in https://example.org'),
  serverNames: z
    .array(z.string().min(1))
    .default([])
    .describe('names beside the address under which browsers reach it, behind a proxy'),
  trustedProxyHosts: z
    .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]))
    .default([])
    .describe(
      'addresses of proxies that say for whom they ask and whether over TLS (X-Forwarded-For, -Proto)'
    )
})

const webhooks = z.strictObject({
  urls: z
    .array(
      z
        .url({ protocol: /^https?$/ })
        .max(2000)
        .refine(url => !/^\w+:\/\/[^/]*@/.test(url), 'must have no name and password in it')
    )
    .default([])
    .describe('where the ends of jobs may be told; a job names one of these in notify.url')
    .meta({ live: true }),
  privateRanges: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .default([])
    .describe('ranges of addresses beside the public ones that these may have, as in 192.168.1.0/24')
    .meta({ live: true })
})

/** Every setting of a node: each folder's own schema, composed; each service has a section of its name. */
export const configSchema = z.strictObject({
  ...own.shape,
  ...networkSettingsSchema.shape,
  gateway: gateway.prefault({}),
  webhooks: webhooks.prefault({}),
  ...(Object.fromEntries(
    SERVICES.map((module: ServiceModule) => [module.name, settingsOf(module)])
  ) as Record<never, never>)
})

export type Config = Readonly<z.infer<typeof configSchema>>

/** One setting as flag, environment variable, and line of the documentation. */
export interface Setting {
  /** keys from the root: ['limits', 'maxConnections'] */
  path: string[]
  flag: string
  environment: string
  type: 'string' | 'number' | 'boolean' | 'list'
  choices?: string[]
  /** undefined where the default depends on the machine */
  default?: unknown
  description: string
  /** a change counts at once in a running node; of the others after its next start */
  live: boolean
}

interface JsonSchema {
  type?: string
  properties?: Record<string, JsonSchema>
  enum?: string[]
  default?: unknown
  description?: string
  live?: boolean
}

/** All settings, read off the schema; flags, environment and the documentation derive from this list. */
export const SETTINGS: readonly Setting[] = list(
  z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema,
  []
)

function list(schema: JsonSchema, path: string[]): Setting[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
    const at = [...path, key]
    if (child.properties != null) return list(child, at)
    const words = at.flatMap(part => part.split(/(?=[A-Z])/)).map(word => word.toLowerCase())
    const isDefaultOfMachine = key === 'data'
    return {
      path: at,
      // a list is given by repeating the flag, which reads better in the singular
      flag: `--${words.join('-').replace(child.type === 'array' ? /s$/ : /$^/, '')}`,
      environment: `ARTEL_${words.join('_').replaceAll('-', '_').toUpperCase()}`,
      type:
        child.type === 'array'
          ? 'list'
          : child.type === 'integer'
            ? 'number'
            : (child.type as Setting['type']),
      ...(child.enum == null ? {} : { choices: child.enum }),
      default: isDefaultOfMachine ? '~/.artel' : child.default,
      description: child.description ?? '',
      live: child.live === true
    }
  })
}
