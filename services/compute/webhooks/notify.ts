import { z } from 'zod'

/** How a job can end, as receivers are told (Standard Webhooks: `type`). */
export const JOB_ENDS = ['job.completed', 'job.failed', 'job.cancelled', 'job.expired'] as const
const MAX_URL_CHARS = 2000

/** Who is told how a job ended. */
export const notify = z.strictObject({
  url: z.string().min(1).max(MAX_URL_CHARS).describe('one of the setting webhooks.urls'),
  events: z
    .array(z.enum(JOB_ENDS))
    .min(1)
    .default([...JOB_ENDS])
    .describe('the ends that are told; default: all')
})
export type Notify = z.output<typeof notify>

/** One receiver that the owner lists, for its owner's eyes. */
export const webhook = z.object({
  url: z.string(),
  secret: z.string().describe('what a receiver verifies the signature with'),
  jobs: z.number().int().nonnegative().describe('jobs whose end it will be told'),
  waiting: z.number().int().nonnegative().describe('messages that it has not taken yet'),
  reason: z.string().optional().describe('why it did not take the last one that waits')
})
export type WebhookView = z.output<typeof webhook>
