import { z } from 'zod'
import { operation } from '../../host/index.ts'
import { MAX_TEXT_CHARS } from '../core/constants.ts'
import { at, id, idempotencyKey } from '../device/declared.ts'

/* What is written in quiet hours. */

const waiting = z.object({
  n: z.number(),
  chat: id,
  at,
  text: z.string(),
  failed: z.string().optional().describe('why it did not go when it was tried; it is tried again')
})

export const later = {
  sendLater: operation({
    summary: 'Write to a chat; in quiet hours it is kept on this disk, and goes when they end',
    input: z.object({
      group: id,
      text: z.string().min(1).max(MAX_TEXT_CHARS),
      reply: id.optional(),
      confirm: z.boolean().default(false).describe('ask everybody to confirm that he has read it'),
      key: idempotencyKey
    }),
    output: z.object({
      id: id.optional().describe('of the message, where these are no quiet hours'),
      until: at.optional().describe('when it goes')
    }),
    http: {
      method: 'POST',
      path: '/messenger/groups/:group/later',
      status: 201,
      headers: { key: 'idempotency-key' }
    },
    scope: 'messenger:write',
    command: {
      name: 'send-later',
      arguments: ['group', 'text'],
      examples: ['messenger send-later ID "See you at the match"']
    }
  }),
  later: operation({
    summary: 'What waits for the end of quiet hours',
    input: z.object({}),
    output: z.object({ items: z.array(waiting) }),
    http: { method: 'GET', path: '/messenger/later' },
    scope: 'messenger:read',
    command: {
      name: 'later',
      show: ({ items }: { items: z.output<typeof waiting>[] }) =>
        items
          .map(({ n, chat, at, text, failed }) =>
            `${n}  ${chat}  ${new Date(at).toISOString()}  ${text}${failed == null ? '' : `  (${failed})`}`.replace(
              /\p{Cc}/gu,
              ' '
            )
          )
          .join('\n') || 'nothing waits'
    }
  }),
  dropLater: operation({
    summary: 'Do not send what waits for the end of quiet hours',
    input: z.object({ n: z.coerce.number().int().min(1).describe('as later tells it') }),
    output: z.object({}),
    http: { method: 'DELETE', path: '/messenger/later/:n' },
    scope: 'messenger:write',
    command: { name: 'drop-later', arguments: ['n'] }
  })
}
