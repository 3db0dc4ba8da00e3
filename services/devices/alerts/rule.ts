import { z } from 'zod'

/** Names stand in paths and in messages to others. */
const name = z
  .string()
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,63}$/u,
    'must be letters, digits, spaces, dots and dashes, at most 64'
  )
const seconds = z.int().min(0).max(31_536_000)

export const SEVERITIES = ['info', 'warning', 'critical'] as const
/** Of an alert. */
export const STATES = ['pending', 'firing', 'acknowledged', 'resolved'] as const
export type State = (typeof STATES)[number]

const fields = z.object({
  name: name.describe('of the rule'),
  devices: z
    .string()
    .min(1)
    .max(128)
    .default('*')
    .describe('which devices by their id, * for anything: sas:*, host:*; agent: the log itself'),
  reading: z.string().min(1).max(64).optional().describe('which reading, for above and below'),
  above: z.number().optional().describe('it fires where the reading is more'),
  below: z.number().optional().describe('it fires where the reading is less'),
  perSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .optional()
    .describe('compare how much the reading grows in so many seconds instead'),
  clear: z.number().optional().describe('it is over where the reading is back at this; default: the limit'),
  absentSeconds: seconds.min(1).optional().describe('it fires where a device is not heard of for so long'),
  event: z.string().min(1).max(64).optional().describe('it fires at an event of this kind'),
  field: z.string().min(1).max(64).optional().describe('of the event, that must be as `equals` says'),
  equals: z.string().max(128).optional().describe('as text'),
  forSeconds: seconds.default(0).describe('it fires once the reading has been so for so long'),
  severity: z.enum(SEVERITIES).default('warning'),
  escalateMinutes: z
    .int()
    .min(1)
    .max(10_080)
    .optional()
    .describe('the receivers in devices.escalationUrls hear of it when nobody has acknowledged it by then')
})

/** What the fields of a rule have to be to each other; undefined: they are. Pure. */
function wrongOf(rule: z.output<typeof fields>): string | undefined {
  const { reading, above, below, clear, perSeconds, absentSeconds, event, field, equals, forSeconds } = rule
  const conditions = [above, below, absentSeconds, event].filter(each => each != null).length
  if (conditions !== 1) return 'a rule has one of above, below, absentSeconds and event'
  const isValue = above != null || below != null
  if (isValue !== (reading != null)) return 'above and below need a reading, and nothing else has one'
  if (!isValue && (clear != null || perSeconds != null || forSeconds > 0))
    return 'clear, perSeconds and forSeconds belong to above and below'
  if ((field == null) !== (equals == null) || (field != null && event == null))
    return 'field and equals belong to an event, and to each other'
  if (clear != null && (above != null ? clear > above : clear < below!))
    return 'clear must lie on the other side of the limit'
  return undefined
}

export const ruleFields = fields
/** The fields of a rule, once they are parsed. */
export const rule = fields.superRefine((value, context) => {
  const message = wrongOf(value)
  if (message != null) context.addIssue({ code: 'custom', message })
})

export type Rule = z.output<typeof fields>
/** `since`: when it was written, ms since 1970 */
export type StoredRule = Rule & { since: number }

/** Whether an id is of a pattern, in which * stands for anything. Pure; its time grows with the product of both at most. */
export function matches(pattern: string, id: string): boolean {
  const [first, ...rest] = pattern.split('*') as [string, ...string[]]
  if (rest.length === 0) return pattern === id
  const last = rest.pop()!
  if (!id.startsWith(first) || !id.endsWith(last) || id.length < first.length + last.length) return false
  let at = first.length
  for (const part of rest) {
    const found = id.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= id.length - last.length
}
