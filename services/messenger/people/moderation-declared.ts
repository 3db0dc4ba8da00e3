import { z } from 'zod'
import { operation } from '../../host/index.ts'
import { MAX_REASON_CHARS, MAX_SILENCE_MINUTES, MAX_TEXT_CHARS } from '../core/constants.ts'
import { title, userId } from '../core/statement.ts'
import { at, id, idempotencyKey, line, person, showLine } from '../device/declared.ts'

/* What keeps a chat in order, and what a person is told of. */

const reason = z.string().max(MAX_REASON_CHARS)

const report = z.object({
  id,
  chat: id,
  at,
  by: person.describe('who reports'),
  text: z.string(),
  isDone: z.boolean(),
  note: z.string().optional(),
  doneBy: person.optional(),
  doneAt: at.optional()
})
const plain = (text: string): string => text.replace(/\p{Cc}/gu, ' ')
const showReport = ({ id, at, by, text, isDone, note, doneBy }: z.output<typeof report>): string =>
  plain(
    `${id}  ${new Date(at).toISOString()}  ${isDone ? `done by ${doneBy?.name}: ${note}` : 'open'}  ${by.name}: ${text}`
  )

const announced = z.object({
  sent: z.array(z.object({ class: z.string(), chat: id, id })),
  without: z
    .array(z.string())
    .describe('classes that have no chat with their name, or not one that you are in'),
  failed: z.array(z.object({ class: z.string(), chat: id, reason: z.string() }))
})

const pinPath = '/messenger/events/:message/pin'
const mutePath = '/messenger/groups/:group/mute'
const silencePath = '/messenger/groups/:group/silences/:user'

export const moderation = {
  pin: operation({
    summary: 'Pin a message at the head of its chat: who is no pupil, and in a chat of two both',
    input: z.object({ message: id }),
    output: z.object({}),
    http: { method: 'PUT', path: pinPath },
    scope: 'messenger:write',
    command: { name: 'pin', arguments: ['message'] }
  }),
  unpin: operation({
    summary: 'Unpin a message',
    input: z.object({ message: id }),
    output: z.object({}),
    http: { method: 'DELETE', path: pinPath },
    scope: 'messenger:write',
    command: { name: 'unpin', arguments: ['message'] }
  }),
  pins: operation({
    summary: 'What is pinned in a chat, the newest first',
    input: z.object({ group: id }),
    output: z.object({ items: z.array(z.object({ line, by: person, at })) }),
    http: { method: 'GET', path: '/messenger/groups/:group/pins' },
    scope: 'messenger:read',
    command: {
      name: 'pins',
      arguments: ['group'],
      show: ({ items }: { items: { line: z.output<typeof line> }[] }) =>
        items.map(each => showLine(each.line)).join('\n') || 'nothing is pinned'
    }
  }),
  silence: operation({
    summary: 'Silence somebody in a chat for a time; he and the others see until when and why',
    input: z.object({
      group: id,
      user: userId,
      minutes: z.int().min(1).max(MAX_SILENCE_MINUTES).default(60),
      reason: reason.min(1)
    }),
    output: z.object({}),
    http: { method: 'PUT', path: silencePath },
    scope: 'messenger:write',
    command: {
      name: 'silence',
      arguments: ['group', 'user'],
      examples: ['messenger silence ID bob --minutes 30 --reason "let the others speak"']
    }
  }),
  lift: operation({
    summary: 'Let somebody speak again who was silenced',
    input: z.object({ group: id, user: userId }),
    output: z.object({}),
    http: { method: 'DELETE', path: silencePath },
    scope: 'messenger:write',
    command: { name: 'lift-silence', arguments: ['group', 'user'] }
  }),
  mute: operation({
    summary: 'Be told of a chat only when somebody names you, on all your devices; nobody else knows',
    input: z.object({ group: id }),
    output: z.object({}),
    http: { method: 'PUT', path: mutePath },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: { name: 'mute', arguments: ['group'] }
  }),
  unmute: operation({
    summary: 'Be told of all that is said in a chat again',
    input: z.object({ group: id }),
    output: z.object({}),
    http: { method: 'DELETE', path: mutePath },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: { name: 'unmute', arguments: ['group'] }
  }),
  announce: operation({
    summary: 'Write the same to the chats of all classes, or of some: those that have the name of the class',
    input: z.object({
      text: z.string().min(1).max(MAX_TEXT_CHARS),
      classes: z.array(title).max(200).default([]).describe('default: all'),
      confirm: z.boolean().default(false).describe('ask everybody to confirm that he has read it'),
      key: idempotencyKey
    }),
    output: announced,
    http: {
      method: 'POST',
      path: '/messenger/announcements',
      status: 201,
      headers: { key: 'idempotency-key' }
    },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: {
      name: 'announce',
      arguments: ['text'],
      examples: [
        'messenger announce "No school tomorrow" --confirm',
        'messenger announce "Bring boots" --classes 7b'
      ],
      show: ({ sent, without, failed }: z.output<typeof announced>) =>
        plain(
          [
            `sent to ${sent.map(each => each.class).join(', ') || 'nobody'}`,
            ...(without.length > 0 ? [`no chat: ${without.join(', ')}`] : []),
            ...failed.map(each => `not sent to ${each.class}: ${each.reason}`)
          ].join('; ')
        )
    }
  }),
  reports: operation({
    summary: 'What people reported to you, and what you reported: open ones first',
    input: z.object({}),
    output: z.object({ items: z.array(report) }),
    http: { method: 'GET', path: '/messenger/reports' },
    scope: 'messenger:read',
    command: {
      name: 'reports',
      show: ({ items }: { items: z.output<typeof report>[] }) =>
        items.map(showReport).join('\n') || 'no reports'
    }
  }),
  closeReport: operation({
    summary: 'A report is done; who reported sees your note',
    input: z.object({ message: id, note: reason.min(1) }),
    output: z.object({}),
    http: { method: 'PUT', path: '/messenger/reports/:message' },
    scope: 'messenger:write',
    command: {
      name: 'close-report',
      arguments: ['message', 'note'],
      examples: ['messenger close-report ID "talked to both"']
    }
  })
}
