import { z } from 'zod'
import { operation } from '../../host/index.ts'
import { LOGS } from './logs.ts'
import type { Said } from './said.ts'

/* What an administrator does: each row of his table, as an operation. */

const at = z.number().describe('ms since 1970')
export const backupId = z
  .string()
  .regex(/^\d{8}T\d{6}Z-[0-9a-f]{4}$/, 'the id of a backup, as in 20260131T020000Z-1f2e')

export const finding = z.object({
  name: z.string(),
  state: z.enum(['ok', 'warn', 'fail']),
  detail: z.string(),
  remedy: z.string().optional().describe('what to do'),
  since: at.optional().describe('when it was first found so by itself, ms since 1970')
})
/** One in no language yet. */
export interface Finding {
  name: string
  state: z.output<typeof finding>['state']
  detail: Said | string
  remedy?: Said | string
  since?: number
}
type Shown = z.output<typeof finding>
const findings = z.object({ items: z.array(finding) })

export const backup = z.object({
  id: z.string(),
  at,
  bytes: z.number().describe('of the sealed file'),
  sha256: z.string().describe('of the whole database'),
  of: z.string().optional().describe('the full backup whose changes it has'),
  events: z.number(),
  people: z.number()
})
export type Backup = z.output<typeof backup>

const certified = z.object({
  addresses: z.array(z.string()),
  until: at,
  authority: z
    .string()
    .describe('the file that goes among the authorities which the computers of the school trust'),
  sha256: z.string().describe('of it, to be compared there')
})
export type Certified = z.output<typeof certified>

const stats = z.object({
  users: z.number(),
  devices: z.number(),
  months: z.array(
    z.object({
      month: z.string().describe('2026-01'),
      newUsers: z.number(),
      messages: z.number().describe('in the chats of this node'),
      senders: z.number()
    })
  )
})
export type Stats = z.output<typeof stats>

const guide = z.object({
  until: at.describe('it should be done by then, ms since 1970'),
  steps: z.array(z.object({ what: z.string(), command: z.string().optional() }))
})
type ShownGuide = z.output<typeof guide>
export interface Guide {
  until: number
  steps: { what: Said; command?: string }[]
}
const language = z.enum(['en', 'ru']).default('en').describe('of what is said')

const showFindings = ({ items }: { items: Shown[] }): string =>
  items
    .map(
      ({ name, state, detail, remedy, since }) =>
        `${state.padEnd(4)}  ${name}: ${detail}${remedy == null ? '' : `; ${remedy}`}${since == null ? '' : ` (since ${new Date(since).toISOString()})`}`
    )
    .join('\n')
const exit = ({ items }: { items: Shown[] }): number => (items.some(({ state }) => state === 'fail') ? 1 : 0)
const admin = { scope: 'messenger:admin' } as const
const long = { deadlineMs: 300_000, ...admin } as const

export const administration = {
  health: operation({
    summary:
      'Processor, memory, disk, database and answer times against their thresholds; looked at by itself every 5 minutes, and told when it changes',
    input: z.object({
      last: z.boolean().default(false).describe('what was found so by itself, and since when'),
      language
    }),
    output: findings,
    http: { method: 'GET', path: '/messenger/admin/health' },
    command: { name: 'health', show: showFindings, exit },
    ...admin
  }),
  diagnose: operation({
    summary: 'Looks for what usually goes wrong, and says what to do',
    input: z.object({ language }),
    output: findings,
    http: { method: 'GET', path: '/messenger/admin/diagnose' },
    command: { name: 'diagnose', show: showFindings, exit },
    ...long
  }),
  verify: operation({
    summary: 'Whether what is kept here is whole: database, events, envelopes, the newest backup',
    input: z.object({
      full: z.boolean().default(false).describe('also signatures, and a trial restore of the newest backup'),
      language
    }),
    output: findings,
    http: { method: 'POST', path: '/messenger/admin/verify' },
    isIdempotent: true,
    command: { name: 'verify', show: showFindings, exit },
    ...long
  }),
  backup: operation({
    summary:
      'Back up history, people and mail, sealed with a key of this node: what has changed since the newest full backup; no keys of chats are in it',
    input: z.object({ full: z.boolean().default(false).describe('all of it') }),
    output: backup,
    http: { method: 'POST', path: '/messenger/admin/backups', status: 201 },
    command: { name: 'backup' },
    ...long
  }),
  backups: operation({
    summary: 'The backups of this node, the newest first',
    input: z.object({}),
    output: z.object({ items: z.array(backup) }),
    http: { method: 'GET', path: '/messenger/admin/backups' },
    command: { name: 'backups' },
    ...admin
  }),
  copies: operation({
    summary: 'Copies of the backups of this node on others, which cannot read them',
    input: z.object({}),
    output: z.object({
      items: z.array(z.object({ peer: z.string(), id: z.string(), at, bytes: z.number() }))
    }),
    http: { method: 'GET', path: '/messenger/admin/copies' },
    command: { name: 'copies' },
    ...long
  }),
  restore: operation({
    summary:
      'Bring back from a backup what is missing or damaged here; what is here stays, deleted stays deleted; one that is not here comes from a node that has a copy',
    input: z.object({
      id: backupId,
      group: z.string().max(64).optional().describe('only this chat'),
      user: z.string().max(64).optional().describe('only what this person wrote'),
      into: z
        .string()
        .max(4096)
        .optional()
        .describe('a new folder: the database as a file, nothing else is changed')
        .meta({ isPath: true })
    }),
    output: z.object({
      events: z.number(),
      generations: z.number(),
      mail: z.number(),
      files: z.number(),
      statements: z.number()
    }),
    http: { method: 'POST', path: '/messenger/admin/backups/:id/restore' },
    isIdempotent: true,
    command: { name: 'restore', arguments: ['id'] },
    ...long
  }),
  cleanup: operation({
    summary:
      'Let go of temporary files, parts of files that nobody names, and mail past its time; make the database small',
    input: z.object({}),
    output: z.object({
      files: z.number(),
      parts: z.number(),
      bytesBefore: z.number().describe('of the database'),
      bytesAfter: z.number()
    }),
    http: { method: 'POST', path: '/messenger/admin/cleanup' },
    isIdempotent: true,
    command: { name: 'cleanup' },
    ...long
  }),
  stats: operation({
    summary: 'People and messages of the last six months',
    input: z.object({}),
    output: stats,
    http: { method: 'GET', path: '/messenger/admin/stats' },
    command: {
      name: 'stats',
      show: ({ users, devices, months }: Stats) =>
        [
          `people ${users}, devices ${devices}`,
          ...months.map(
            each => `${each.month}: new ${each.newUsers}, messages ${each.messages}, senders ${each.senders}`
          )
        ].join('\n')
    },
    ...admin
  }),
  audit: operation({
    summary:
      'What a stranger, or somebody who has left, could use: files of keys, admins, mailboxes, devices',
    input: z.object({ language }),
    output: findings,
    http: { method: 'GET', path: '/messenger/admin/audit' },
    command: { name: 'audit', show: showFindings, exit },
    ...admin
  }),
  check: operation({
    summary: 'The checklist of a day, or of a week, filled in',
    input: z.object({ period: z.enum(['daily', 'weekly']).default('daily'), language }),
    output: findings,
    http: { method: 'GET', path: '/messenger/admin/checks/:period' },
    command: { name: 'check', arguments: ['period'], show: showFindings, exit },
    ...long
  }),
  log: operation({
    summary:
      'The newest lines of a log: what was asked and by whom, with sign-ins that failed; faults; the database; who follows what happens; the report of each morning',
    input: z.object({
      name: z.enum(LOGS).default('server'),
      lines: z.int().min(1).max(10_000).default(100)
    }),
    output: z.object({ lines: z.array(z.string()) }),
    http: { method: 'GET', path: '/messenger/admin/logs/:name' },
    command: {
      name: 'log',
      arguments: ['name'],
      show: ({ lines }: { lines: string[] }) => lines.join('\n')
    },
    ...admin
  }),
  cert: operation({
    summary:
      'A certificate for the listener at addresses of the school’s network, by an authority of its own that can speak for no other; again to renew it',
    input: z.object({
      addresses: z
        .array(z.string().min(1).max(253))
        .max(50)
        .default([])
        .describe('of this machine, as 192.168.1.100 or chat.school.lan; none: all that it has'),
      anew: z
        .boolean()
        .default(false)
        .describe(
          'by another authority, where somebody else has the key of this one; computers must trust it anew'
        )
    }),
    output: certified,
    http: { method: 'POST', path: '/messenger/admin/certificate', status: 201 },
    command: {
      name: 'cert',
      arguments: ['addresses'],
      show: ({ addresses, until, authority, sha256 }: Certified) =>
        [
          `A certificate for ${addresses.join(', ')}, until ${new Date(until).toISOString().slice(0, 10)}.`,
          `1. Put ${authority} among the authorities that the computers of the school trust; its SHA-256 is ${sha256}`,
          '2. A name, other than localhost, is answered where it is told: artel config set gateway.serverNames NAME',
          '3. Start this node anew.'
        ].join('\n')
    },
    ...admin
  }),
  setLogLevel: operation({
    summary: 'Whether the log of the server also tells of what only looks, and for how long',
    input: z.object({
      level: z.enum(['debug', 'info']),
      minutes: z.int().min(1).max(1_440).default(30).describe('debug ends by itself')
    }),
    output: z.object({ until: at.describe('ms since 1970; 0: it is not on') }),
    http: { method: 'PUT', path: '/messenger/admin/log-level' },
    isIdempotent: true,
    command: { name: 'level', arguments: ['level'] },
    ...admin
  }),
  incident: operation({
    summary: 'What to do after a leak, under a flood, or when somebody has another’s account',
    input: z.object({
      kind: z.enum(['leak', 'ddos', 'account']),
      user: z.string().max(64).optional().describe('login of the person whose account it is'),
      language
    }),
    output: guide,
    http: { method: 'GET', path: '/messenger/admin/incidents/:kind' },
    command: {
      name: 'incident',
      arguments: ['kind'],
      show: ({ until, steps }: ShownGuide) =>
        [
          ...steps.map(({ what, command }, i) => `${i + 1}. ${what}${command == null ? '' : `: ${command}`}`),
          `by ${new Date(until).toISOString()}`
        ].join('\n')
    },
    ...admin
  }),
  ticket: operation({
    summary: 'A request for help, with what is known of this machine filled in',
    input: z.object({ subject: z.string().min(1).max(200), language }),
    output: z.object({ text: z.string() }),
    http: { method: 'GET', path: '/messenger/admin/ticket' },
    command: { name: 'ticket', arguments: ['subject'], show: ({ text }: { text: string }) => text },
    ...long
  })
}
