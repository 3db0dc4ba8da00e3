import { z } from 'zod'
import { declare, NETWORK, operation, USAGE } from '../host/index.ts'

const progress = z.object({ done: z.number(), total: z.number() })
const scope = 'analyzer:write' as const
const deadlineMs = 3_600_000
const counted = {
  job: z.string(),
  visited: z.number().describe('items that were looked at'),
  skipped: z.string().describe('items that were dropped without a look')
}
const classes = z.array(z.object({ class: z.string(), count: z.number() }))
const card = z.int().min(1).max(10)

export const declaration = declare({
  name: 'analyzer',
  version: 1,
  summary: 'count games and designs exactly, over the network',
  needs: ['jobs'],
  errors: { PresetError: USAGE, JobFailedError: NETWORK },
  operations: {
    poker: operation({
      summary: 'Classes of all poker hands',
      input: z.object({
        cards: z.int().min(5).max(7).default(5).describe('of a hand, whose best five count')
      }),
      output: z.object({ ...counted, classes }),
      progress,
      http: { method: 'POST', path: '/analyzer/poker' },
      scope,
      deadlineMs,
      command: { examples: ['analyzer poker --cards 7'] }
    }),
    dealer: operation({
      summary: 'What a blackjack dealer ends with over an open card, as exact fractions',
      input: z.object({
        up: card.describe('open card: 1 is an ace, 10 also stands for J, Q, K'),
        decks: z.int().min(1).max(8).default(1),
        removed: z.array(card).max(100).default([]).describe('cards that are no more in the shoe'),
        hitSoft17: z.boolean().default(false).describe('the dealer draws to a soft 17')
      }),
      output: z.object({
        ...counted,
        ends: z.array(
          z.object({ end: z.string(), chance: z.number(), exact: z.string().describe('as a fraction') })
        )
      }),
      progress,
      http: { method: 'POST', path: '/analyzer/dealer' },
      scope,
      deadlineMs,
      command: { examples: ['analyzer dealer --up 6 --decks 6 --hit-soft17'] }
    }),
    queens: operation({
      summary: 'Ways to place n queens on a board so that none attacks another',
      input: z.object({ n: z.int().min(1).max(20) }),
      output: z.object({ ...counted, solutions: z.number() }),
      progress,
      http: { method: 'POST', path: '/analyzer/queens' },
      scope,
      deadlineMs,
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
      output: z.object({ ...counted, hits: z.array(z.object({ hits: z.number(), draws: z.number() })) }),
      progress,
      http: { method: 'POST', path: '/analyzer/wheel' },
      scope,
      deadlineMs,
      command: { arguments: ['tickets'], examples: ['analyzer wheel 1,2,3,4,5,6 7,8,9,10,11,12'] }
    }),
    steiner: operation({
      summary: 'Labelled Steiner triple systems of v points',
      input: z.object({ v: z.int().min(3).max(9).describe('points: 3, 7 or 9; others have none') }),
      output: z.object({ ...counted, systems: z.number() }),
      progress,
      http: { method: 'POST', path: '/analyzer/steiner' },
      scope,
      deadlineMs,
      command: { examples: ['analyzer steiner --v 9'] }
    })
  }
})
