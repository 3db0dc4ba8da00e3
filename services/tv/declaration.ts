import { z } from 'zod'
import {
  base64,
  bytes,
  CONFLICT,
  declare,
  FORBIDDEN,
  hoursTexts,
  NETWORK,
  NOT_FOUND,
  operation
} from '../host/index.ts'
import { documentOperations } from './documents/declaration.ts'
import { booking, messages, outcome, tvState } from './messages.ts'
import { placeOf, relayOf } from './place.ts'

const on = z
  .string()
  .min(1)
  .max(300)
  .describe('which TVs: name=tv-1, or tags as line=2 & model~metro; * for all')
const hours = hoursTexts.meta({ live: true })
const agent = z.string().max(100).describe('node beside it')
const args = z
  .record(z.string().max(64), z.union([z.string().max(8000), z.number(), z.boolean()]))
  .default({})
  .describe('of the operation, as JSON: {"level":7}; see tv operations')
const listed = tvState.extend({ agent })
const each = outcome.extend({ agent, tv: z.string() })
const names = (items: z.output<typeof listed>[]): string =>
  items
    .map(({ name, agent: peer, lamp, reason, readings }) =>
      [
        name,
        peer.slice(-8),
        lamp === 'shell' ? 'up' : `${lamp}: ${reason ?? ''}`,
        readings.power ?? '',
        readings.source ?? '',
        readings.volume ?? '',
        readings.playback ?? ''
      ].join('\t')
    )
    .join('\n')

export const declaration = declare({
  name: 'tv',
  version: 1,
  summary: 'control Android TVs beside this node, and those of other nodes that allow it',
  needs: ['devices', 'files'],
  config: z.object({
    tvs: z
      .array(
        z
          .string()
          .max(2000)
          .refine(
            text => placeOf(text) != null,
            'is no TV; write NAME HOST:PORT tag=value…, as tv-1 192.168.10.2:5555 line=2'
          )
      )
      .max(64)
      .refine(
        places => new Set(places.map(text => placeOf(text)?.name)).size === places.length,
        'names a TV twice'
      )
      .default([])
      .describe(
        'TVs beside this node: NAME HOST:PORT and tags for selectors, as tv-1 192.168.10.2:5555 line=2; wireless for the port: that of wireless debugging, which the TV says by mDNS'
      ),
    relays: z
      .array(
        z
          .string()
          .max(200)
          .refine(text => relayOf(text) != null, 'is no relay; write TV CHIP:LINE, as tv-1 gpiochip0:17')
      )
      .max(64)
      .default([])
      .describe(
        'relays that give power while nobody holds their line: TV CHIP:LINE, and active-low where that is so, as tv-1 gpiochip0:17 active-low'
      ),
    agents: z
      .array(z.string().max(100))
      .max(500)
      .default([])
      .meta({ live: true })
      .describe('nodes beside TVs that this one operates; those that announce themselves are found as well'),
    repairHours: hours.describe(
      'when a TV that does not answer or does not show its campaign may be repaired: its player, a reboot, its relay; default: never'
    ),
    fetchHours: hours.describe(
      'when files of campaigns may be fetched from other nodes, as 1-7 01:00-05:00 Europe/Moscow; default: always'
    ),
    lookSeconds: z
      .number()
      .min(0.1)
      .max(3600)
      .default(5)
      .describe('seconds between two looks at how a TV is'),
    answerMs: z.int().min(100).max(60_000).default(10_000).describe('ms until a TV must have answered')
  }),
  messages,
  errors: {
    TvRequestError: NOT_FOUND,
    TvRefusedError: FORBIDDEN,
    TvFailedError: CONFLICT,
    TvDownError: NETWORK,
    TvOverdueError: NETWORK,
    TvProtocolError: NETWORK
  },
  operations: {
    ...documentOperations,
    list: operation({
      summary: 'TVs of this node and of others, and how they are',
      input: z.object({ on: on.default('*') }),
      output: z.object({
        items: z.array(listed),
        silent: z.array(agent).describe('nodes that did not answer')
      }),
      http: { method: 'GET', path: '/tv' },
      scope: 'tv:read',
      command: {
        arguments: ['on'],
        examples: ['tv list', 'tv list "line=2 & model~metro"'],
        show: ({ items }: { items: z.output<typeof listed>[] }) => names(items)
      }
    }),
    operations: operation({
      summary: 'Everything that can be done with a TV',
      input: z.object({}),
      output: z.object({
        items: z.array(
          z.object({
            name: z.string(),
            summary: z.string(),
            risk: z
              .number()
              .describe('0 looks, 1 can be taken back, 2 disturbs, 3 can break it: two signers'),
            verb: z.string().describe('what has to be granted'),
            command: z
              .string()
              .optional()
              .describe('of the device tv:NAME, as devices.command has it; none: it only looks'),
            args: z.record(z.string(), z.unknown()).describe('JSON schema')
          })
        )
      }),
      http: { method: 'GET', path: '/tv/operations' },
      scope: 'tv:read'
    }),
    do: operation({
      summary: 'Do one operation with TVs, and tell each outcome',
      description:
        'The TVs are those that the selector names when it is called. What is done is looked at afterwards: `failed: still 12`.',
      input: z.object({
        operation: z.string().max(64).describe('as sound.volume, see tv operations'),
        on,
        args,
        atOnce: z.int().min(1).max(500).default(150).describe('TVs at once'),
        canary: z
          .int()
          .min(0)
          .max(500)
          .default(0)
          .describe('so many first; the others only if these went well'),
        stopAt: z
          .number()
          .min(0)
          .max(100)
          .default(100)
          .describe('% of failures after which nothing new is begun')
      }),
      output: z.object({
        items: z.array(each),
        left: z.array(z.object({ agent, tv: z.string() })).describe('not begun, because too many failed')
      }),
      progress: each,
      http: { method: 'POST', path: '/tv/do' },
      scope: 'tv:write',
      isIdempotent: false,
      deadlineMs: 15 * 60_000,
      command: {
        arguments: ['operation', 'on'],
        examples: [
          'tv do sound.volume "line=2" --args \'{"level":7}\'',
          'tv do power.standby "*" --canary 2 --stop-at 10'
        ],
        exit: ({ items, left }: { items: z.output<typeof each>[]; left: unknown[] }) =>
          left.length === 0 && items.every(({ is }) => is === 'done') ? 0 : 5
      }
    }),
    shot: operation({
      summary: 'What one TV shows, as PNG',
      input: z.object({
        on,
        small: z.boolean().default(false).describe('480 × 270, which is quicker'),
        age: z.number().min(0).max(60).default(0).describe('seconds that a small one may be old')
      }),
      output: bytes,
      http: { method: 'GET', path: '/tv/shot' },
      scope: 'tv:read',
      deadlineMs: 60_000,
      command: false
    }),
    live: operation({
      summary: 'The screen of one TV as it is, until who asks goes',
      description:
        'Pictures of H.264 (annex B), the first a key picture; before each stand its length in bytes (32 bits, the highest first) and a byte, 1 where it is a key picture. A TV is recorded once for all who watch.',
      input: z.object({ on }),
      output: bytes,
      http: { method: 'GET', path: '/tv/live' },
      scope: 'tv:read',
      deadlineMs: 60_000,
      command: false
    }),
    picture: operation({
      summary: 'What one TV shows, as PNG in base64',
      input: z.object({ on, small: z.boolean().default(false).describe('480 × 270, which is quicker') }),
      output: z.object({ png: base64 }),
      http: { method: 'GET', path: '/tv/picture' },
      scope: 'tv:read',
      deadlineMs: 60_000
    }),
    book: operation({
      summary: 'Hold TVs for a time: others can look, and no more',
      input: z.object({
        on,
        minutes: z.number().min(1).max(43_200).describe('from now on'),
        why: z.string().min(1).max(200),
        override: z
          .boolean()
          .default(false)
          .describe('take them from who holds them; needs a grant for override')
      }),
      output: z.object({
        items: z.array(z.object({ agent, tv: z.string(), held: z.boolean(), why: z.string().optional() }))
      }),
      http: { method: 'POST', path: '/tv/bookings' },
      scope: 'tv:write',
      command: { arguments: ['on'], examples: ['tv book name=tv-1 --minutes 30 --why "new mount"'] }
    }),
    release: operation({
      summary: 'No longer hold TVs',
      input: z.object({ on }),
      output: z.object({
        items: z.array(z.object({ agent, tv: z.string(), had: z.boolean(), why: z.string().optional() }))
      }),
      http: { method: 'DELETE', path: '/tv/bookings', query: ['on'] },
      scope: 'tv:write',
      command: { arguments: ['on'] }
    }),
    bookings: operation({
      summary: 'Who holds which TV',
      input: z.object({ on: on.default('*') }),
      output: z.object({ items: z.array(booking.extend({ agent })) }),
      http: { method: 'GET', path: '/tv/bookings' },
      scope: 'tv:read',
      command: { arguments: ['on'] }
    }),
    pair: operation({
      summary:
        "Make this node's key known to a TV beside it: allowed on its screen, or by the code that it shows",
      description:
        'A TV with wireless debugging demands TLS and shows a code and a port for it: Developer options, Wireless debugging, Pair device with pairing code. Others show the key, and whether to allow it.',
      input: z.object({
        tv: z.string().max(40).describe('its name'),
        code: z
          .string()
          .regex(/^\d{6}$/, 'must be six digits')
          .optional()
          .describe('six digits that a TV with wireless debugging shows'),
        pairPort: z.int().min(1).max(65_535).optional().describe('the port that it shows beside the code')
      }),
      output: z.object({ lamp: z.string() }),
      http: { method: 'POST', path: '/tv/pair' },
      scope: 'tv:admin',
      deadlineMs: 150_000,
      command: {
        arguments: ['tv'],
        examples: ['tv pair tv-1', 'tv pair tv-1 --code 123456 --pair-port 37123']
      }
    })
  }
})
