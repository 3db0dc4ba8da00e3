import { z } from 'zod'
import { declare, NETWORK, operation, USAGE } from '../host/index.ts'

const scope = 'analyzer:write' as const
const deadlineMs = 3_600_000
const counted = {
  job: z.string(),
  visited: z.number().describe('items that were looked at'),
  skipped: z.string().describe('items that were dropped without a look')
}
const card = z.int().min(1).max(10)
const shoe = {
  up: card.describe('open card: 1 is an ace, 10 also stands for J, Q, K'),
  decks: z.int().min(1).max(8).default(1),
  removed: z.array(card).max(100).default([]).describe('other cards that are no more in the shoe'),
  hitSoft17: z.boolean().default(false).describe('the dealer draws to a soft 17')
}
const author = z.string().max(32_768)

/** What a job gives, and while it runs how far it is with what it would give if that were all. */
function counts<T extends z.ZodRawShape>(fields: T) {
  const output = z.object({ ...counted, ...fields })
  const progress = z.object({
    job: z.string(),
    done: z.number(),
    total: z.number(),
    soFar: output.optional()
  })
  return { output, progress, scope, deadlineMs }
}

export const declaration = declare({
  name: 'analyzer',
  version: 1,
  summary: 'count games and designs exactly, over the network',
  needs: ['jobs'],
  page: { icon: 'chart-column', titles: { en: 'Analyzer', ru: 'Анализатор' } },
  errors: { PresetError: USAGE, JobFailedError: NETWORK, SpecError: USAGE },
  operations: {
    poker: operation({
      summary: 'Classes of all poker hands',
      input: z.object({
        cards: z.int().min(5).max(7).default(5).describe('of a hand, whose best five count')
      }),
      ...counts({ classes: z.array(z.object({ class: z.string(), count: z.number() })) }),
      http: { method: 'POST', path: '/analyzer/poker' },
      command: { examples: ['analyzer poker --cards 7'] }
    }),
    dealer: operation({
      summary: 'What a blackjack dealer ends with over an open card, as exact fractions',
      input: z.object(shoe),
      ...counts({
        ends: z.array(
          z.object({ end: z.string(), chance: z.number(), exact: z.string().describe('as a fraction') })
        )
      }),
      http: { method: 'POST', path: '/analyzer/dealer' },
      command: { examples: ['analyzer dealer --up 6 --decks 6 --hit-soft17'] }
    }),
    player: operation({
      summary:
        'What a blackjack player gains per bet where he stands, draws or doubles, playing on as well as one can',
      input: z.object({
        hand: z.array(card).min(2).max(21).describe('cards of the player: 1 is an ace'),
        ...shoe,
        mayBeBlackjack: z
          .boolean()
          .default(false)
          .describe('the dealer has not looked whether he has a blackjack')
      }),
      ...counts({
        plays: z
          .array(z.object({ play: z.string(), gain: z.number() }))
          .describe('the best first; while it counts none')
      }),
      http: { method: 'POST', path: '/analyzer/player' },
      command: { arguments: ['hand'], examples: ['analyzer player 10 6 --up 10'] }
    }),
    queens: operation({
      summary: 'Ways to place n queens on a board so that none attacks another',
      input: z.object({ n: z.int().min(1).max(20) }),
      ...counts({ solutions: z.number() }),
      http: { method: 'POST', path: '/analyzer/queens' },
      command: { examples: ['analyzer queens --n 10'] }
    }),
    wheel: operation({
      summary: 'How many numbers of a draw the best of some lottery tickets has, over all draws',
      input: z.object({
        numbers: z.int().min(1).max(100).default(49).describe('numbers are 1 to this'),
        pick: z.int().min(1).max(20).default(6).describe('how many are drawn'),
        tickets: z
          .array(z.string().regex(/^\d{1,3}(,\d{1,3})*$/))
          .min(1)
          .max(1000)
          .describe('numbers with commas: 1,2,3,4,5,6')
      }),
      ...counts({ hits: z.array(z.object({ hits: z.number(), draws: z.number() })) }),
      http: { method: 'POST', path: '/analyzer/wheel' },
      command: { arguments: ['tickets'], examples: ['analyzer wheel 1,2,3,4,5,6 7,8,9,10,11,12'] }
    }),
    steiner: operation({
      summary: 'Labelled Steiner triple systems of v points',
      input: z.object({ v: z.int().min(3).max(9).describe('points: 3, 7 or 9; others have none') }),
      ...counts({ systems: z.number() }),
      http: { method: 'POST', path: '/analyzer/steiner' },
      command: { examples: ['analyzer steiner --v 9'] }
    }),
    enumerate: operation({
      summary: 'A space and a function of your own, as the task type enumerate takes them',
      input: z.object({
        space: z.record(z.string(), z.unknown()),
        evaluate: author.optional().describe('(item, rank) → value'),
        prune: author.optional().describe('(prefix, depth) → true drops every item that begins so'),
        aggregate: z.union([z.string(), z.record(z.string(), z.unknown())]).default('histogram'),
        exact: z.boolean().optional(),
        context: z.record(z.string(), z.unknown()).optional()
      }),
      ...counts({ value: z.unknown() }),
      http: { method: 'POST', path: '/analyzer/enumerate' },
      // artel run
      command: false
    })
  }
})
