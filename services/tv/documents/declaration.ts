import { z } from 'zod'
import { operation } from '../../host/index.ts'
import { MEDIA, plan } from '../campaigns/campaign.ts'
import { cardParts } from '../cards/card.ts'
import { campaignState, rehearsal } from '../messages.ts'
import { documentName } from './target.ts'

/* What can be asked about campaigns and cards. */

const FILE = new RegExp(`^(\\S.{0,298}?) (\\d{1,4}(?:\\.\\d{1,3})?)(?: (${MEDIA.join('|')}))?$`)
/** `spot.mp4 15`; undefined: it is none. */
export function fileOf(text: string): { file: string; ms: number; mime?: string } | undefined {
  const [, file, seconds, mime] = FILE.exec(text) ?? []
  if (file == null) return undefined
  return { file, ms: Math.round(Number(seconds) * 1000), ...(mime == null ? {} : { mime }) }
}

const on = z.string().min(1).max(300).describe('which TVs, as a selector; those of now')
const name = documentName.describe('of it; the same name again is its next version')
const moment = z.iso.datetime({ offset: true })
const target = z.object({ agent: z.string(), tv: z.string() })
const issued = z.object({
  name: z.string(),
  version: z.number(),
  by: z.string(),
  on: z.string(),
  targets: z.array(target)
})
/** a node beside TVs that does not have the newest version */
const late = z.object({ agent: z.string(), why: z.string().optional() })

export const documentOperations = {
  setCampaign: operation({
    summary: 'Show files of the network on TVs, one after the other',
    description:
      'The files are named by their CID or by a name of the service files on this node. They are fetched by the nodes beside the TVs, from whichever has them, and copied to the TVs before the start.',
    input: z.object({
      name,
      on,
      files: z
        .array(
          z
            .string()
            .max(400)
            .refine(text => fileOf(text) != null, 'is none; write FILE SECONDS, as spot.mp4 15')
        )
        .min(1)
        .max(50)
        .describe('FILE SECONDS and, where its name does not say it, the type: spot.mp4 15'),
      start: moment.optional().describe('as 2026-12-01T06:00:00+03:00; default: now'),
      end: moment.describe('it is not shown any more from then on'),
      ...plan
    }),
    output: issued.extend({
      overlaps: z
        .array(z.object({ name: z.string(), priority: z.number() }))
        .describe('other campaigns of this node at the same time on the same TVs')
    }),
    http: { method: 'PUT', path: '/tv/campaigns/:name' },
    scope: 'tv:write',
    deadlineMs: 10 * 60_000,
    command: {
      arguments: ['name', 'on'],
      examples: ['tv set-campaign winter "line=2" --file "spot.mp4 15" --end 2027-01-31T00:00:00+03:00']
    }
  }),
  campaigns: operation({
    summary: 'Campaigns of this node, and how they are on each TV',
    input: z.object({}),
    output: z.object({
      items: z.array(
        issued.omit({ targets: true }).extend({
          advertiser: z.string(),
          priority: z.number(),
          schedule: z.array(z.string()),
          start: z.number(),
          end: z.number(),
          files: z.number(),
          bytes: z.number(),
          tvs: z.array(campaignState.extend({ agent: z.string(), isReady: z.boolean() })),
          late: z.array(late)
        })
      )
    }),
    http: { method: 'GET', path: '/tv/campaigns' },
    scope: 'tv:read'
  }),
  endCampaign: operation({
    summary: 'Show a campaign no more',
    input: z.object({ name: documentName }),
    output: z.object({}),
    http: { method: 'DELETE', path: '/tv/campaigns/:name' },
    scope: 'tv:write',
    command: { arguments: ['name'] }
  }),
  setCard: operation({
    summary: 'What people see and press of TVs, and what the TVs do by themselves',
    description:
      'Triggers run at the nodes beside the TVs, also without a network, with the grants of this node.',
    input: z.object({
      name,
      on,
      ...cardParts
    }),
    output: issued,
    http: { method: 'PUT', path: '/tv/cards/:name' },
    scope: 'tv:write',
    command: false
  }),
  cards: operation({
    summary: 'Cards of this node',
    input: z.object({}),
    output: z.object({ items: z.array(issued.extend({ ...cardParts, late: z.array(late) })) }),
    http: { method: 'GET', path: '/tv/cards' },
    scope: 'tv:read'
  }),
  endCard: operation({
    summary: 'A card counts no more',
    input: z.object({ name: documentName }),
    output: z.object({}),
    http: { method: 'DELETE', path: '/tv/cards/:name' },
    scope: 'tv:write',
    command: { arguments: ['name'] }
  }),
  rehearse: operation({
    summary: 'When triggers would have acted, by what the logs say; nothing is done',
    input: z.object({
      on,
      triggers: cardParts.triggers,
      hours: z.number().min(0.01).max(168).default(24).describe('back from now')
    }),
    output: z.object({
      items: z.array(
        target.extend({ triggers: z.array(rehearsal), why: z.string().optional().describe('nobody knows') })
      )
    }),
    http: { method: 'POST', path: '/tv/cards/rehearsal' },
    scope: 'tv:read',
    isIdempotent: true,
    deadlineMs: 60_000,
    command: false
  })
}
