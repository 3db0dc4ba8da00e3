import { z } from 'zod'
import { declare, EXIT, FORBIDDEN, FULL, NETWORK, NOT_FOUND, operation, USAGE } from '../host/index.ts'
import { alertOperations } from './alerts/operations.ts'
import { commandOperations } from './commands/operations.ts'
import { fleetOperations } from './fleet/operations.ts'
import { messages } from './messages.ts'

const peer = z.string().min(1).max(128)
const body = z.record(z.string(), z.unknown())
const at = z.number().describe('ms since 1970')

const device = z.object({
  agent: z.string().describe('the node that it is connected to'),
  id: z.string(),
  about: body.optional().describe('kind, serial, name, readings with their units, events, facts'),
  readings: body.describe('the newest value of each'),
  readAt: at.optional(),
  eventAt: at.optional()
})

const event = z.object({
  agent: z.string(),
  number: z.number().describe('of the chain'),
  seq: z.number().describe('place in the chain'),
  at,
  device: z.string(),
  class: z.string(),
  kind: z.string(),
  body
})

const chain = z.object({
  agent: z.string(),
  number: z.number(),
  first: z.number(),
  last: z.number(),
  bytes: z.number(),
  missing: z.number().describe('entries that were damaged and are not back yet'),
  ahead: z
    .number()
    .describe(
      'entries whose time was more than five minutes to come when they were read; they count as of then'
    ),
  isForked: z.boolean().describe('its agent signed another entry of one number')
})

const reconciled = z.object({
  agent: z.string(),
  number: z.number(),
  first: z.number(),
  last: z.number(),
  rows: z.number().describe('those that are as the log has them'),
  missing: z.number().describe('entries without a row'),
  wrong: z.number().describe('rows that say something else'),
  unknown: z.number().describe('rows that the log does not have')
})

const verdict = z.object({
  isRight: z.boolean(),
  agent: z.string(),
  number: z.number(),
  fleet: z.string(),
  first: z.number(),
  last: z.number(),
  entries: z.object({ account: z.number(), event: z.number(), sample: z.number() }),
  fromMs: z.number().optional(),
  toMs: z.number().optional(),
  ahead: z
    .number()
    .describe('entries whose time is more than five minutes after one at which a witness had signed them'),
  witnesses: z.array(
    z.object({ peer: z.string(), seq: z.number(), timeMs: z.number(), isHashOnly: z.boolean() })
  ),
  faults: z.array(z.string())
})

const path = z.string().min(1).max(4096).meta({ isPath: true })

/** What the document of a fleet can set, too. */
export const budgetMb = z.int().min(1).max(1e6)
export const keepDays = z.int().min(1).max(10_000)

const receiver = z.url({ protocol: /^(https?|mailto)$/ }).max(2000)

export const declaration = declare({
  name: 'devices',
  version: 1,
  summary: 'keep what devices say where it cannot be lost or altered in silence',
  config: z.object({
    fleet: z
      .string()
      .min(1)
      .max(64)
      .default('home')
      .describe('name of the fleet that the devices of this node belong to'),
    fleetOwners: z
      .array(peer)
      .max(8)
      .default([])
      .meta({ live: true })
      .describe(
        'peer ids of the nodes whose document of the fleet counts here, self for this one: it says how devices are set and who may command them'
      ),
    slot: z
      .enum(['base', 'a', 'b'])
      .optional()
      .describe('which release this process is; `artel launch` says it'),
    watchdogSeconds: z
      .int()
      .min(20)
      .max(86_400)
      .default(120)
      .describe(
        'seconds that a node which `artel launch` has started may stand still; then the kernel ends it, and its supervisor starts it again'
      ),
    witnessPeers: z
      .array(peer)
      .max(8)
      .default([])
      .describe(
        'peer ids of the nodes that copy and countersign the log of this one; two of them make an entry delivered'
      ),
    beforePeers: z
      .array(peer)
      .max(8)
      .default([])
      .describe(
        'peer ids of boards in whose place this one stands, the newest first: its devices go on with what those wrote last, as witnesses have it'
      ),
    hashWitnessPeers: z
      .array(peer)
      .max(8)
      .default([])
      .meta({ live: true })
      .describe(
        'peer ids of nodes that sign the hash of the log of this one every hour and see nothing else of it, as of somebody else who is to be able to say that nothing was altered'
      ),
    hashWitnessFor: z
      .array(peer)
      .max(1000)
      .default([])
      .meta({ live: true })
      .describe('peer ids of the nodes whose hashes this one signs so'),
    budgetMb: budgetMb
      .default(256)
      .meta({ live: true })
      .describe('MB of this disk for the logs of this node and of those that it is a witness for'),
    mirrorFile: z
      .string()
      .max(4096)
      .optional()
      .describe(
        'file, for its owner only, with the address of a PostgreSQL database, postgres://user:password@host/name, that gets all that is kept here'
      ),
    mirrorCall: z
      .string()
      .max(127)
      .regex(/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/, 'write it like report or reports.refresh')
      .optional()
      .describe('procedure of that database which is called after what is new was committed'),
    alertUrls: z
      .array(receiver)
      .max(8)
      .default([])
      .meta({ live: true })
      .describe(
        'who hears of alerts: addresses that take messages of Standard Webhooks, and mailto:ann@example.org'
      ),
    escalationUrls: z
      .array(receiver)
      .max(8)
      .default([])
      .meta({ live: true })
      .describe(
        'who hears of alerts that nobody has acknowledged in the time that their rule gives, as alertUrls'
      ),
    alertMailFile: z
      .string()
      .max(4096)
      .optional()
      .describe(
        'file, for its owner only, with the server for mailto: smtps://user:password@host?from=alerts@example.org'
      ),
    alertHosts: z
      .array(z.string().min(1).max(300))
      .max(8)
      .default([])
      .meta({ live: true })
      .describe('hosts of these that are no public ones, as in 192.168.1.7:8080'),
    alertPeers: z
      .array(peer)
      .max(8)
      .default([])
      .meta({ live: true })
      .describe('peer ids of nodes that keep the same logs and have the same rules: one of them tells'),
    keepDays: keepDays
      .default(30)
      .meta({ live: true })
      .describe('days that delivered entries are kept in the log')
  }),
  messages,
  errors: {
    ForbiddenError: FORBIDDEN,
    EntryError: USAGE,
    ChainError: USAGE,
    ReadingError: USAGE,
    ExportPathError: USAGE,
    UnknownDeviceError: NOT_FOUND,
    UnknownAlertError: NOT_FOUND,
    LogFullError: FULL,
    CommandError: USAGE,
    UnknownCommandError: NOT_FOUND,
    MirrorError: NETWORK
  },
  operations: {
    ...alertOperations,
    ...fleetOperations,
    ...commandOperations,
    list: operation({
      summary: 'Devices whose logs this node keeps, and those that it may read, with their newest readings',
      input: () => z.object({}),
      output: () => z.object({ items: z.array(device) }),
      http: { method: 'GET', path: '/devices' },
      scope: 'devices:read',
      command: {
        show: ({ items }: { items: z.output<typeof device>[] }) =>
          items
            .map(
              ({ id, about, readings, readAt }) =>
                `${id}  ${String(about?.name ?? '')}  ${readAt == null ? '-' : new Date(readAt).toISOString()}  ${JSON.stringify(readings)}`
            )
            .join('\n') || 'no devices'
      }
    }),
    history: operation({
      summary: 'A reading of a device over time, by minutes or hours',
      input: () =>
        z.object({
          device: z.string().min(1).max(128),
          reading: z.string().min(1).max(64),
          from: z.int().min(0).describe('ms since 1970'),
          to: z.int().min(0).describe('ms since 1970'),
          step: z.enum(['minute', 'hour']).default('hour')
        }),
      output: () =>
        z.object({
          points: z.array(
            z.object({
              t: at,
              n: z.number(),
              min: z.number(),
              max: z.number(),
              mean: z.number(),
              last: z.number()
            })
          )
        }),
      http: { method: 'GET', path: '/devices/history' },
      scope: 'devices:read',
      command: { arguments: ['device', 'reading'] }
    }),
    events: operation({
      summary: 'What happened, the newest first',
      input: () =>
        z.object({
          device: z.string().max(128).optional(),
          before: z.int().min(0).optional().describe('ms since 1970; default: now'),
          limit: z.int().min(1).max(1000).default(100)
        }),
      output: () => z.object({ items: z.array(event) }),
      http: { method: 'GET', path: '/devices/events' },
      scope: 'devices:read',
      command: { arguments: ['device'] }
    }),
    status: operation({
      summary: 'The logs that are kept here, and how far witnesses have that of this node',
      input: () => z.object({}),
      output: () =>
        z.object({
          fleet: z.string(),
          own: z.object({
            number: z.number(),
            last: z.number().describe('newest entry; -1 for none'),
            delivered: z.number().describe('newest entry that two witnesses have; -1 for none')
          }),
          witnesses: z.array(
            z.object({
              peer: z.string(),
              seq: z.number(),
              at: at.optional(),
              error: z.string().optional(),
              isHashOnly: z.boolean().describe('it sees nothing of what the log says')
            })
          ),
          chains: z.array(chain),
          bytes: z.number(),
          budgetBytes: z.number(),
          pressure: z.enum(['none', 'thin', 'account'])
        }),
      http: { method: 'GET', path: '/devices/status' },
      scope: 'devices:read'
    }),
    reconcile: operation({
      summary: 'Compare every entry that is kept here with its row in the database',
      input: () => z.object({}),
      output: () => z.object({ isRight: z.boolean(), items: z.array(reconciled) }),
      http: { method: 'GET', path: '/devices/reconciliation' },
      scope: 'devices:read',
      deadlineMs: 600_000,
      command: { exit: ({ isRight }: { isRight: boolean }) => (isRight ? 0 : EXIT.internal) }
    }),
    follow: operation({
      summary: 'Devices as their readings and events come in, until the caller goes',
      input: () => z.object({ device: z.string().max(128).optional() }),
      output: () => z.object({}),
      progress: () =>
        z.object({
          items: z.array(device).describe('those that have changed; none is a sign of life')
        }),
      http: { method: 'GET', path: '/devices/follow' },
      scope: 'devices:read',
      command: false
    }),
    export: operation({
      summary: 'Write a log to a file that anybody can verify',
      input: () =>
        z.object({
          path: path.describe('must not be there yet'),
          agent: peer.optional().describe('default: this node'),
          number: z.int().min(0).optional().describe('of the chain; default: the newest')
        }),
      output: () =>
        z.object({
          entries: z.number(),
          heads: z
            .number()
            .optional()
            .describe('where this node has nothing else of it: hashes that it signed'),
          path: z.string()
        }),
      http: { method: 'POST', path: '/devices/export' },
      // it writes wherever the node may write
      scope: 'devices:admin',
      deadlineMs: 600_000,
      command: { arguments: ['path'], examples: ['devices export march.log'] }
    }),
    verify: operation({
      summary: 'Check an exported log: every hash, every signature; needs no node',
      input: () =>
        z.object({
          path: path.describe('as `devices export` writes it'),
          against: path
            .optional()
            .describe(
              'what `devices export` writes of the same log at another node, as one that signs its hashes'
            )
        }),
      output: () => verdict,
      http: { method: 'POST', path: '/devices/verify' },
      // it reads whatever the node may read
      scope: 'devices:admin',
      isIdempotent: true,
      deadlineMs: 600_000,
      command: {
        arguments: ['path'],
        examples: ['devices verify march.log', 'devices verify march.log --against heads-of-the-auditor.log'],
        local: async ({ path, against }: { path: string; against?: string }) =>
          (await import('./verify-file.ts')).verifyFile(path, against),
        exit: ({ isRight }: z.output<typeof verdict>) => (isRight ? 0 : EXIT.internal),
        show: (found: z.output<typeof verdict>) =>
          [
            `${found.isRight ? 'right' : 'WRONG'}: entries ${found.first} to ${found.last} of ${found.agent}, chain ${found.number}, fleet ${found.fleet}`,
            ...found.witnesses.map(
              ({ peer, seq, isHashOnly }) =>
                `${peer} has signed ${isHashOnly ? 'the hash of all' : 'that it has them'} up to ${seq}`
            ),
            ...(found.ahead === 0
              ? []
              : [`${found.ahead} entries say a time that was to come when a witness signed them`]),
            ...found.faults
          ].join('\n')
      }
    })
  }
})
