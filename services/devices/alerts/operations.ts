import { z } from 'zod'
import { operation } from '../../host/index.ts'
import { rule, ruleFields, SEVERITIES, STATES } from './rule.ts'

const at = z.number().describe('ms since 1970')
const MINUTES_MAX = 525_600

const alert = z.object({
  key: z.string(),
  rule: z.string(),
  agent: z.string(),
  device: z.string(),
  severity: z.enum(SEVERITIES),
  state: z.enum(STATES),
  number: z.number().describe('of the chain of the entry that opened it'),
  seq: z.number().describe('its place; below 0: there was none'),
  value: z.unknown().describe('the reading, or what the event says'),
  count: z.number().describe('events that it stands for'),
  openedAt: at,
  heardAt: at.describe('when this node heard of it'),
  firedAt: at.optional(),
  acknowledgedAt: at.optional(),
  acknowledgedBy: z.string().optional(),
  note: z.string().optional(),
  resolvedAt: at.optional(),
  escalatedAt: at.optional().describe('nobody had acknowledged it, and others were told')
})
const stored = ruleFields.extend({ since: at })
const silence = z.object({
  id: z.number(),
  devices: z.string(),
  rule: z.string().optional(),
  until: at,
  why: z.string(),
  by: z.string()
})
const name = ruleFields.shape.name

/** What can be done about alerts. */
export const alertOperations = {
  alerts: operation({
    summary: 'What rules have found, the newest first',
    input: () =>
      z.object({
        state: z
          .enum(['open', ...STATES])
          .optional()
          .describe('open: all that are not over'),
        limit: z.int().min(1).max(1000).default(100)
      }),
    output: () => z.object({ items: z.array(alert) }),
    http: { method: 'GET', path: '/devices/alerts' },
    scope: 'devices:read',
    command: {
      arguments: ['state'],
      show: ({ items }: { items: z.output<typeof alert>[] }) =>
        items
          .map(
            ({ key, severity, state, rule: of, device, value, openedAt, escalatedAt }) =>
              `${key}  ${severity}  ${state}${escalatedAt == null ? '' : ', escalated'}  ${of}  ${device}  ${JSON.stringify(value)}  ${new Date(openedAt).toISOString()}`
          )
          .join('\n') || 'no alerts'
    }
  }),
  acknowledge: operation({
    summary: 'Say that somebody looks after an alert',
    input: () => z.object({ key: z.string().min(1).max(64), note: z.string().max(500).optional() }),
    output: () => alert,
    http: { method: 'POST', path: '/devices/alerts/:key/acknowledge' },
    scope: 'devices:write',
    isIdempotent: true,
    command: { arguments: ['key'] }
  }),
  rules: operation({
    summary: 'Rules of alerts on this node',
    input: () => z.object({}),
    output: () => z.object({ items: z.array(stored) }),
    http: { method: 'GET', path: '/devices/rules' },
    scope: 'devices:read'
  }),
  setRule: operation({
    summary: 'Write a rule; one that is there begins anew',
    input: () => rule,
    output: () => stored,
    http: { method: 'PUT', path: '/devices/rules/:name' },
    scope: 'devices:write',
    command: {
      arguments: ['name'],
      examples: [
        'devices set-rule hot --devices "host:*" --reading temperature --above 80 --clear 70 --for-seconds 60',
        'devices set-rule silent --absent-seconds 300 --severity critical --escalate-minutes 15',
        'devices set-rule door --devices "sas:*" --event exception --field code --equals 17'
      ]
    }
  }),
  removeRule: operation({
    summary: 'Remove a rule; its alerts are over',
    input: () => z.object({ name }),
    output: () => z.object({}),
    http: { method: 'DELETE', path: '/devices/rules/:name' },
    scope: 'devices:write',
    command: { arguments: ['name'] }
  }),
  silence: operation({
    summary: 'Tell nobody of alerts of some devices for a while',
    input: () =>
      z.object({
        devices: ruleFields.shape.devices,
        rule: name.optional().describe('only this one'),
        minutes: z.int().min(1).max(MINUTES_MAX),
        why: z.string().min(1).max(500)
      }),
    output: () => silence,
    http: { method: 'POST', path: '/devices/silences' },
    scope: 'devices:write',
    command: {
      arguments: ['devices'],
      examples: ['devices silence "sas:*" --minutes 60 --why "new machines"']
    }
  }),
  silences: operation({
    summary: 'Silences that are not over',
    input: () => z.object({}),
    output: () => z.object({ items: z.array(silence) }),
    http: { method: 'GET', path: '/devices/silences' },
    scope: 'devices:read'
  }),
  endSilence: operation({
    summary: 'End a silence; what still fires is told',
    input: () => z.object({ id: z.coerce.number<number>().int().min(1) }),
    output: () => z.object({}),
    http: { method: 'DELETE', path: '/devices/silences/:id' },
    scope: 'devices:write',
    command: { arguments: ['id'] }
  }),
  receivers: operation({
    summary: 'Who hears of alerts, and the secret by which a receiver knows that they come from this node',
    input: () => z.object({}),
    output: () =>
      z.object({
        items: z.array(
          z.object({
            url: z.string(),
            secret: z.string(),
            isLast: z.boolean().describe('it hears of what nobody has acknowledged')
          })
        )
      }),
    http: { method: 'GET', path: '/devices/receivers' },
    scope: 'devices:admin'
  })
}
