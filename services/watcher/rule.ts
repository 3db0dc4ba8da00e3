import { z } from 'zod'

const text = (max: number) => z.string().min(1).max(max)
const selector = {
  css: text(500).optional(),
  xpath: text(500).optional(),
  path: text(500).optional().describe('JSON path (RFC 9535): $.cases[*].court'),
  regex: text(500).optional().describe('of the text; the first group, or the whole match')
}
const field = text(40).regex(/^[\p{L}_][\p{L}\p{N}_]*$/u)

/** A part of the world or of a network, as its owner calls it. */
export const region = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'write it like by or eu-west')

export const secretName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'write it like court-password')

/** How a site is entered over http. */
const login = z.strictObject({
  url: text(2000).describe('page with the form'),
  form: text(500).describe('CSS of the form'),
  fill: z
    .record(
      text(100),
      z.union([z.strictObject({ secret: secretName }), z.strictObject({ value: z.string().max(500) })])
    )
    .describe('by the name of the field: { value } or { secret: name }'),
  marker: text(200).describe('text that stands only on pages of who is inside')
})

const step = z.union([
  z.strictObject({ open: text(2000).describe('another page') }),
  z.strictObject({ fill: text(500).describe('CSS'), value: z.string().max(500) }),
  z.strictObject({ fill: text(500).describe('CSS'), secret: secretName }),
  z.strictObject({ select: text(500).describe('CSS'), value: text(500) }),
  z.strictObject({ click: text(500).describe('CSS') }),
  z.strictObject({ waitFor: text(500).describe('CSS') }),
  z.strictObject({ expectText: text(500) })
])
const steps = z.array(step).max(30)

/** How pages are read that are made by their own programs. */
const browser = z.strictObject({
  login: z
    .strictObject({
      steps: steps.min(1),
      marker: text(200).describe('text that stands only on pages of who is inside')
    })
    .optional()
    .describe('done where the marker is missing'),
  steps: steps.default([]).describe('done on each page before it is read')
})

const expectations = z.strictObject({
  header: z.array(text(200)).max(20).default([]).describe('texts that every page must have'),
  emptyWhen: text(200).optional().describe('text of a page on which no items are right')
})

/** What a page is, how it becomes items, and when it is looked at. */
export const ruleSchema = z.strictObject({
  name: text(100),
  urls: z.array(text(2000)).min(1).max(20).describe('{page} stands for the number of the page'),
  pages: z.int().min(1).max(50).default(1),
  login: login.optional(),
  browser: browser.optional().describe('the pages are opened in Chromium'),
  extract: z.strictObject({
    type: z.enum(['html', 'xml', 'json', 'text']).default('html'),
    rows: z.strictObject(selector),
    fields: z
      .record(
        field,
        z.strictObject({
          ...selector,
          attribute: text(100).optional(),
          as: z.enum(['text', 'lower', 'number']).optional()
        })
      )
      .refine(fields => Object.keys(fields).length <= 40, 'at most 40 fields')
  }),
  key: z.array(field).min(1).max(5).describe('fields that tell one item from another'),
  expect: expectations.default({ header: [] }),
  schedule: text(100).default('*/30 * * * *').describe('cron'),
  timeZone: text(60).default('UTC').describe('of the schedule, as Europe/Minsk'),
  agree: z
    .int()
    .min(2)
    .max(7)
    .optional()
    .describe('so many nodes look, and only what most of them see counts; default: this one alone'),
  regions: z
    .array(region)
    .min(1)
    .max(20)
    .optional()
    .describe('where the others are whose looks count, as they say; default: anywhere'),
  retentionDays: z.int().min(1).max(3650).default(365).describe('of events and of what is gone')
})

export type Rule = z.output<typeof ruleSchema>

const channel = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('email'), to: z.email().max(200) }),
  z.strictObject({
    kind: z.literal('webhook'),
    url: text(2000),
    secret: secretName.describe('signs every message (HMAC-SHA256)')
  }),
  z.strictObject({
    kind: z.literal('messenger'),
    chat: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'an id is 64 hex digits')
      .describe('of this node, see artel messenger chats')
  })
])

const EVENT_KINDS = ['new', 'changed', 'gone', 'returned'] as const

export const subscriptionSchema = z.strictObject({
  name: text(100),
  rule: text(64).optional().describe('id; default: all rules'),
  kinds: z
    .array(z.enum(EVENT_KINDS))
    .min(1)
    .default([...EVENT_KINDS]),
  query: text(200).optional().describe('words that the item has, found as the search finds them'),
  when: z
    .strictObject({
      field,
      contains: text(200).optional(),
      matches: text(200).optional().describe('pattern of RE2 that stands somewhere in it; (?i) for any case'),
      above: z.number().optional(),
      below: z.number().optional()
    })
    .optional()
    .describe('told when this becomes true; again only after it was false'),
  channel,
  digest: text(100).optional().describe('cron of the digests; default: each as it is found'),
  timeZone: text(60).default('UTC'),
  heartbeat: z.boolean().default(false).describe('a digest also where nothing happened'),
  first: z.enum(['silent', 'matching']).default('silent').describe('matching: also what is there already')
})

export type Subscription = z.output<typeof subscriptionSchema>
export type Channel = z.output<typeof channel>
export type EventKind = (typeof EVENT_KINDS)[number]
export type Login = z.output<typeof login>
export type Browser = z.output<typeof browser>
export type Step = z.output<typeof step>

/** The URLs of a rule, page after page. */
export const pagesOf = ({ urls, pages }: Pick<Rule, 'urls' | 'pages'>): string[] =>
  urls.flatMap(url =>
    url.includes('{page}')
      ? Array.from({ length: pages }, (_, i) => url.replaceAll('{page}', String(i + 1)))
      : [url]
  )
