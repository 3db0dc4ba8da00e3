import { z } from 'zod'
import { declare, MACHINE, NETWORK, NOT_FOUND, operation, USAGE } from '../host/index.ts'
import { messages } from './messages.ts'
import { region, ruleSchema, secretName, subscriptionSchema } from './rule.ts'

const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'write it like minsk-court')
const at = z.number().describe('ms since 1970')
const fields = z.record(z.string(), z.string())
const limit = z.int().min(1).max(1000).default(100)
const ofRule = id.optional().describe('id of a rule; default: all')

const agreement = z.object({
  unconfirmed: z.array(z.string()).describe('keys of which no majority said the same; the first ten'),
  answers: z.array(
    z.object({
      peer: z.string(),
      is: z.enum(['agrees', 'differs', 'silent']),
      keys: z.array(z.string()).describe('of which it said something else than most; the first ten'),
      reason: z.string().optional().describe('why it is silent'),
      statement: z
        .object({ at, snapshot: z.string(), root: z.string(), region: z.string(), signature: z.string() })
        .optional()
        .describe('what it signed: SHA-256 of its pages and its items, and where it says that it is')
    })
  )
})

const outcome = z.object({
  at,
  state: z.enum(['ok', 'failed', 'broken']),
  reason: z.string().optional().describe('why it is not right'),
  items: z.number(),
  changes: z.number(),
  isFirst: z.boolean().describe('the first of this version, which tells nobody anything'),
  agreement: agreement.optional().describe('what each node said, where several must agree')
})

const row = z.object({
  id: z.string(),
  version: z.string().describe('SHA-256 of the rule'),
  rule: ruleSchema,
  isPaused: z.boolean(),
  dueAt: at,
  last: outcome.optional()
})

const item = z.object({
  rule: z.string(),
  key: z.string(),
  fields,
  first: at,
  last: at,
  isGone: z.boolean()
})

const event = z.object({
  number: z.number(),
  rule: z.string(),
  at,
  kind: z.enum(['new', 'changed', 'gone', 'returned']),
  key: z.string(),
  old: fields.optional(),
  new: fields.optional()
})

const subscribed = z.object({
  id: z.string(),
  subscription: subscriptionSchema,
  cursor: z.number().describe('number of the last event that it was told'),
  dueAt: at.optional().describe('of the next digest')
})

const tested = z.object({
  at,
  items: z.array(fields).describe('the first 50'),
  count: z.number(),
  emptyFields: z.array(z.string()),
  doubt: z.string().optional().describe('why it would not be believed'),
  changes: z.number().describe('that would be told, after the fetch before'),
  sent: z
    .array(z.object({ subscription: id, events: z.number(), text: z.string().describe('of the first ten') }))
    .describe('what of it each subscription would be told')
})

const hosts = z.array(z.string().regex(/^[^\s/]{1,253}:\d{1,5}$/, 'write it like 10.0.0.7:8080')).max(100)
const none = z.object({})
const read = { scope: 'watch:read' } as const
const write = { scope: 'watch:write' } as const

const differing = ({ agreement }: z.output<typeof outcome>): string => {
  const named = agreement?.answers.filter(({ is }) => is === 'differs') ?? []
  return named.map(({ peer, keys }) => `${peer} differs in ${keys.join(', ')}`).join('; ')
}

export const declaration = declare({
  name: 'watch',
  version: 1,
  summary: 'make tables of pages, search them, and tell of what changes',
  page: { icon: 'eye', titles: { en: 'Watched pages', ru: 'Наблюдение' } },
  needs: ['sandbox'],
  wants: ['messenger'],
  config: z.object({
    openHosts: hosts
      .default([])
      .meta({ live: true })
      .describe('hosts with port that may be read although they are inside this network, or on another port'),
    pauseSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(30)
      .meta({ live: true })
      .describe('seconds between two requests to one host'),
    chromium: z
      .string()
      .max(500)
      .default('')
      .meta({ live: true })
      .describe('program of Chromium for rules that need a browser, as /usr/bin/chromium; none: they fail'),
    lookPeers: z
      .array(z.string().min(1).max(128))
      .max(100)
      .default([])
      .meta({ live: true })
      .describe('peer ids that this node asks to look too, where a rule wants several to agree'),
    lookHosts: hosts
      .default([])
      .meta({ live: true })
      .describe('hosts with port that this node looks at for those of allowedPeers; none: for nobody'),
    region: region
      .or(z.literal(''))
      .default('')
      .meta({ live: true })
      .describe(
        'where this node is, as by or eu-west: others are told with every look; none: nowhere that counts'
      ),
    shareSeconds: z
      .number()
      .min(0)
      .max(3600)
      .default(60)
      .meta({ live: true })
      .describe(
        'for so long a page that came for one rule, and a look for one node, serves others who ask for the same'
      ),
    smtpHost: z
      .string()
      .max(253)
      .default('')
      .meta({ live: true })
      .describe('mail server; none: no mail is sent'),
    smtpPort: z.int().min(1).max(65535).default(465).meta({ live: true }).describe('port of the mail server'),
    smtpTls: z
      .enum(['required', 'none'])
      .default('required')
      .meta({ live: true })
      .describe('none: the mail server is on this machine or network and takes plain text'),
    smtpUser: z
      .string()
      .max(200)
      .default('')
      .meta({ live: true })
      .describe('name at the mail server; its password is the secret "smtp"'),
    smtpFrom: z.string().max(200).default('').meta({ live: true }).describe('sender of the mails')
  }),
  messages,
  async *checks({ chromium }: { chromium: string }) {
    if (chromium === '') return
    const { tryBrowser } = await import('../outbound/index.ts')
    await tryBrowser(chromium)
    yield { name: 'browser', state: 'ok', detail: `${chromium} starts behind its walls` } as const
  },
  errors: {
    RuleError: USAGE,
    UnknownRuleError: NOT_FOUND,
    AgreementError: NETWORK,
    ExtractionError: USAGE,
    PageError: NETWORK,
    LoginError: NETWORK,
    DeliveryError: NETWORK,
    ForbiddenAddressError: USAGE,
    FetchError: NETWORK,
    FetchOverdueError: NETWORK,
    FetchTooLongError: NETWORK,
    BrowserError: MACHINE,
    UnwelcomeError: NETWORK,
    WallMissingError: MACHINE
  },
  operations: {
    rules: operation({
      summary: 'Rules, and how their last fetch ended',
      input: none,
      output: z.object({ items: z.array(row) }),
      http: { method: 'GET', path: '/watch/rules' },
      ...read,
      command: {
        show: ({ items }: { items: z.output<typeof row>[] }) =>
          items
            .map(
              ({ id, rule, isPaused, last }) =>
                `${id}  ${rule.name}  ${isPaused ? 'paused' : rule.schedule}  ${last == null ? '-' : `${last.state} ${last.items} ${last.reason ?? differing(last)}`}`
            )
            .join('\n') || 'no rules'
      }
    }),
    put: operation({
      summary: 'Keep a rule; another version begins anew, and its first fetch tells nobody anything',
      input: z.object({ id, rule: ruleSchema, isPaused: z.boolean().default(false) }),
      output: row,
      http: { method: 'PUT', path: '/watch/rules/:id' },
      ...write,
      command: { arguments: ['id', 'rule'], examples: ['watch put minsk-court "$(cat rule.json)"'] }
    }),
    remove: operation({
      summary: 'Remove a rule with its items and events',
      input: z.object({ id }),
      output: none,
      http: { method: 'DELETE', path: '/watch/rules/:id' },
      ...write,
      command: {
        arguments: ['id'],
        confirm: ({ id }: { id: string }) => `Remove the rule ${id} with all that it has found?`
      }
    }),
    run: operation({
      summary: 'Look at the pages of a rule now',
      input: z.object({ id }),
      output: outcome,
      http: { method: 'POST', path: '/watch/rules/:id/run' },
      ...write,
      deadlineMs: 3_600_000,
      command: { arguments: ['id'] }
    }),
    test: operation({
      summary: 'What a rule would find: on the pages that are kept, or fetched once where none are',
      input: z.object({
        rule: ruleSchema,
        id: id.optional().describe('of the rule whose kept pages are read')
      }),
      output: z.object({ fetches: z.array(tested).describe('the oldest first') }),
      http: { method: 'POST', path: '/watch/rules/test' },
      ...write,
      deadlineMs: 600_000,
      command: { arguments: ['rule'], examples: ['watch test "$(cat rule.json)"'] }
    }),
    items: operation({
      summary: 'Items; with words, those that have all of them, in Cyrillic or Latin letters',
      input: z.object({ q: z.string().max(200).optional().describe('words'), rule: ofRule, limit }),
      output: z.object({ items: z.array(item) }),
      http: { method: 'GET', path: '/watch/items' },
      ...read,
      command: { arguments: ['q'], examples: ['watch items Shcherbakov'] }
    }),
    csv: operation({
      summary: 'Items as a table for spreadsheets',
      input: z.object({
        q: z.string().max(200).optional(),
        rule: ofRule,
        limit: z.int().min(1).max(100_000).default(10_000)
      }),
      output: z.string(),
      http: { method: 'GET', path: '/watch/items.csv', textType: 'text/csv; charset=utf-8' },
      ...read,
      command: { show: (text: string) => text }
    }),
    events: operation({
      summary: 'What has changed, the newest first',
      input: z.object({
        rule: ofRule,
        before: z.int().min(1).optional().describe('number of an event'),
        limit
      }),
      output: z.object({ items: z.array(event) }),
      http: { method: 'GET', path: '/watch/events' },
      ...read
    }),
    feed: operation({
      summary: 'The newest events as RSS',
      input: z.object({ rule: ofRule }),
      output: z.string(),
      http: { method: 'GET', path: '/watch/events.rss', textType: 'application/rss+xml; charset=utf-8' },
      ...read,
      command: false
    }),
    subscriptions: operation({
      summary: 'Who is told of what',
      input: none,
      output: z.object({
        items: z.array(subscribed),
        messages: z.record(z.string(), z.number()).describe('by state: waiting, sent, dead')
      }),
      http: { method: 'GET', path: '/watch/subscriptions' },
      ...read
    }),
    subscribe: operation({
      summary: 'Tell somebody of what changes',
      input: z.object({ id, subscription: subscriptionSchema }),
      output: subscribed,
      http: { method: 'PUT', path: '/watch/subscriptions/:id' },
      ...write,
      command: {
        arguments: ['id', 'subscription'],
        examples: ['watch subscribe me "$(cat subscription.json)"']
      }
    }),
    unsubscribe: operation({
      summary: 'Tell somebody no more',
      input: z.object({ id }),
      output: none,
      http: { method: 'DELETE', path: '/watch/subscriptions/:id' },
      ...write,
      command: { arguments: ['id'] }
    }),
    secrets: operation({
      summary: 'Names of the passwords that are kept',
      input: none,
      output: z.object({ names: z.array(z.string()) }),
      http: { method: 'GET', path: '/watch/secrets' },
      scope: 'watch:admin'
    }),
    secret: operation({
      summary: 'Keep a password for logins, webhooks or the mail server (smtp); empty: forget it',
      input: z.object({
        name: secretName,
        value: z.string().max(500),
        site: z
          .url({ protocol: /^https?$/ })
          .max(500)
          .optional()
          .describe('the only site that it is entered at; none: a key for webhooks or the mail server')
      }),
      output: none,
      http: { method: 'PUT', path: '/watch/secrets/:name' },
      scope: 'watch:admin',
      command: {
        arguments: ['name', 'value'],
        examples: ['watch secret court-password "$(cat password)" --site https://court.example']
      }
    })
  }
})
