import { z } from 'zod'
import { base64, operation } from '../../host/index.ts'
import { time } from '../core/codec.ts'
import { MAX_FILE_BYTES, MAX_TEXT_CHARS } from '../core/constants.ts'
import { title, userId } from '../core/statement.ts'

/* Chats of a device, and what is said in them. */

export const id = z.string().regex(/^[0-9a-f]{64}$/, 'an id is 64 hex digits')
export const at = z.number().describe('ms since 1970')
export const person = z.object({ id: z.string(), name: z.string() })
const text = z.string().min(1).max(MAX_TEXT_CHARS)
export const idempotencyKey = z
  .string()
  .min(1)
  .max(200)
  .optional()
  .describe('the same key writes the same message once, however often it is sent')
const history = z
  .enum(['all', 'joining'])
  .default('all')
  .describe('what newcomers see of what was said before')
const users = z.array(userId).max(250)

const silence = z.object({ until: at, reason: z.string(), by: person })

export const line = z.object({
  id: z.string(),
  at,
  by: person,
  kind: z
    .enum(['text', 'file', 'members', 'silence', 'leave', 'unknown'])
    .describe('unknown: of a newer program, which this one does not show'),
  text: z.string().optional(),
  reply: z.string().optional(),
  file: z.object({ name: z.string(), size: z.number() }).optional(),
  isEdited: z.boolean().optional(),
  isDeleted: z.boolean().optional(),
  isHidden: z.boolean().optional().describe('who wrote it was silenced then, or these are quiet hours'),
  hiddenUntil: at.optional().describe('of what is hidden in quiet hours: when they end'),
  namesYou: z.boolean().optional(),
  silenced: z
    .object({ of: person, until: at, reason: z.string(), isLifted: z.boolean() })
    .optional()
    .describe('of a silence: whose, until when, and why'),
  done: z.object({ by: person, note: z.string() }).optional().describe('of a report'),
  reactions: z.array(z.object({ with: z.string(), by: z.array(z.string()) })).optional(),
  mark: z
    .enum(['saved', 'kept', 'delivered', 'read'])
    .optional()
    .describe('of own ones: on this disk, at a mailbox, on the device of another, read'),
  readBy: z.array(z.string()).optional(),
  confirm: z
    .object({
      isDone: z.boolean().describe('by who asks'),
      by: z.array(z.string()).optional(),
      missing: z.array(z.string()).optional()
    })
    .optional()
    .describe('of one whose author asks to confirm that it was read'),
  joined: z.array(z.string()).optional(),
  left: z.array(z.string()).optional(),
  devices: z
    .array(z.object({ of: z.string(), name: z.string() }))
    .optional()
    .describe('further devices of people who have one, and whose they are')
})
type Shown = z.output<typeof line>

const chat = z.object({
  id: z.string(),
  title: z.string(),
  people: z.array(person),
  generation: z.number(),
  isIn: z.boolean().describe('this device is in it and has its keys'),
  waiting: z.number().describe('messages whose predecessors are not here yet'),
  unread: z.number(),
  mentions: z.number().describe('of the unread ones: those that name you'),
  isMuted: z.boolean().describe('you are told only of those that name you'),
  silence: silence.optional().describe('you are silenced here'),
  silenced: z.array(z.string()).describe('logins of who is silenced here'),
  at
})

const showConfirm = ({ isDone, by, missing }: NonNullable<Shown['confirm']>): string =>
  by == null || missing == null
    ? isDone
      ? ' (you confirmed)'
      : ' (please confirm that you have read it)'
    : ` (confirmed by ${by.join(', ') || 'nobody'}; not yet by ${missing.join(', ') || 'nobody'})`

const showMembers = ({ joined = [], left = [], devices = [] }: Shown): string =>
  [
    ...(joined.length + left.length === 0
      ? []
      : [`+ ${joined.join(', ') || '-'}  - ${left.join(', ') || '-'}`]),
    ...devices.map(({ of, name }) => `${of} has another device: ${name}`)
  ].join('  ')

const showSilence = ({ of, until, reason, isLifted }: NonNullable<Shown['silenced']>): string =>
  isLifted
    ? `${of.name} may speak again`
    : `${of.name} is silenced until ${new Date(until).toISOString()}: ${reason}`

/** What stands in place of a text; undefined: there is one, or a file, or who came and went. */
const showInstead = ({ kind, isDeleted, isHidden, hiddenUntil, silenced }: Shown): string | undefined => {
  if (isDeleted) return '(deleted)'
  if (hiddenUntil != null) return `(not shown in quiet hours, until ${new Date(hiddenUntil).toISOString()})`
  if (isHidden) return '(not shown: silenced)'
  if (silenced != null) return showSilence(silenced)
  return kind === 'unknown' ? '(of a newer program)' : undefined
}

export const showLine = (line: Shown): string => {
  const { at, by, text, file, mark, confirm, done } = line
  const what =
    showInstead(line) ?? text ?? (file == null ? showMembers(line) : `[${file.name}, ${file.size} bytes]`)
  // nothing of a message may steer the terminal
  return `${new Date(at).toISOString()} ${by.name}: ${what}${mark == null ? '' : ` (${mark})`}${confirm == null ? '' : showConfirm(confirm)}${done == null ? '' : ` (done by ${done.by.name}: ${done.note})`}`.replace(
    /\p{Cc}/gu,
    ' '
  )
}

const showChat = ({ id, title, people, unread, mentions, isMuted }: z.output<typeof chat>): string =>
  `${id}  ${title}  ${people.length}  ${unread}${mentions > 0 ? `  names you: ${mentions}` : ''}${isMuted ? '  muted' : ''}`

interface Present {
  name: string
  isHere: boolean
  seen?: number
}
const showPresent = ({ isHere, seen }: Present): string =>
  isHere ? 'here' : seen == null ? 'not seen since this node began' : `seen ${new Date(seen).toISOString()}`

export const chatting = {
  groups: operation({
    summary: 'Chats of this device, the one with the newest message first',
    input: z.object({}),
    output: z.object({ items: z.array(chat) }),
    http: { method: 'GET', path: '/messenger/groups' },
    scope: 'messenger:read',
    command: {
      name: 'chats',
      show: ({ items }: { items: z.output<typeof chat>[] }) => items.map(showChat).join('\n') || 'no chats'
    }
  }),
  createGroup: operation({
    summary: 'Begin a chat with people, or with all of some classes',
    input: z.object({
      title: z.string().max(100).default('').describe('default: the names of the others'),
      users: users.default([]).describe('logins'),
      classes: z.array(title).max(20).default([]),
      history
    }),
    output: z.object({ id }),
    http: { method: 'POST', path: '/messenger/groups', status: 201 },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: {
      name: 'create-chat',
      arguments: ['users'],
      examples: ['messenger create-chat --title 7b --classes 7b']
    }
  }),
  changeGroup: operation({
    summary: 'Add people to a chat, remove some, or give it another title',
    input: z.object({
      group: id,
      add: users.default([]).describe('logins'),
      remove: users.default([]).describe('logins; they read nothing from then on'),
      title: z.string().min(1).max(100).optional()
    }),
    output: chat,
    http: { method: 'PATCH', path: '/messenger/groups/:group' },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: {
      name: 'change-chat',
      arguments: ['group'],
      examples: ['messenger change-chat ID --remove bob']
    }
  }),
  leaveGroup: operation({
    summary:
      'Leave a chat: you read nothing of what is said after its members go on without you, as they do by themselves; pupils only where they may make groups',
    input: z.object({ group: id }),
    output: chat,
    http: { method: 'POST', path: '/messenger/groups/:group/leave' },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: { name: 'leave-chat', arguments: ['group'], examples: ['messenger leave-chat ID'] }
  }),
  send: operation({
    summary: 'Write to a chat; it is on this disk when this returns',
    input: z.object({
      group: id,
      text,
      reply: id.optional(),
      confirm: z
        .boolean()
        .default(false)
        .describe('ask everybody to confirm that he has read it; you see who did'),
      key: idempotencyKey
    }),
    output: z.object({ id }),
    http: {
      method: 'POST',
      path: '/messenger/groups/:group/events',
      status: 201,
      headers: { key: 'idempotency-key' }
    },
    scope: 'messenger:write',
    command: { name: 'send', arguments: ['group', 'text'] }
  }),
  messages: operation({
    summary: 'What was said in a chat, the newest first',
    input: z.object({
      group: id,
      limit: z.int().min(1).max(100).default(100),
      beforeAt: z.coerce.number().int().min(0).optional().describe('of the last line of the page before'),
      beforeId: z.string().max(64).optional()
    }),
    output: z.object({ items: z.array(line) }),
    http: { method: 'GET', path: '/messenger/groups/:group/events' },
    scope: 'messenger:read',
    command: {
      name: 'read',
      arguments: ['group'],
      show: ({ items }: { items: Shown[] }) => items.toReversed().map(showLine).join('\n')
    }
  }),
  markRead: operation({
    summary: 'Everything up to this time is read; its authors see that',
    input: z.object({ group: id, at: time }),
    output: z.object({}),
    http: { method: 'PUT', path: '/messenger/groups/:group/read' },
    scope: 'messenger:write',
    command: false
  }),
  edit: operation({
    summary: 'Write an own message anew',
    input: z.object({ message: id, text }),
    output: z.object({ id }),
    http: { method: 'PATCH', path: '/messenger/events/:message' },
    scope: 'messenger:write',
    command: { name: 'edit', arguments: ['message', 'text'] }
  }),
  delete: operation({
    summary: 'Delete a message on every device',
    input: z.object({ message: id }),
    output: z.object({ id }),
    http: { method: 'DELETE', path: '/messenger/events/:message' },
    scope: 'messenger:write',
    command: { name: 'delete', arguments: ['message'] }
  }),
  react: operation({
    summary: 'Answer a message with a sign; an empty one takes it back',
    input: z.object({ message: id, with: z.string().max(16) }),
    output: z.object({ id }),
    http: { method: 'PUT', path: '/messenger/events/:message/reaction' },
    scope: 'messenger:write',
    command: { name: 'react', arguments: ['message', 'with'] }
  }),
  confirm: operation({
    summary: 'Say that you have read a message whose author asks for it',
    input: z.object({ message: id }),
    output: z.object({}),
    http: { method: 'PUT', path: '/messenger/events/:message/confirmation' },
    scope: 'messenger:write',
    command: { name: 'confirm', arguments: ['message'] }
  }),
  presence: operation({
    summary: 'Who of a chat is here, as far as the school lets people see that, and who is writing',
    input: z.object({ group: id }),
    output: z.object({
      items: z.array(person.extend({ isHere: z.boolean(), seen: at.optional() })),
      typing: z.array(z.string()).describe('names')
    }),
    http: { method: 'GET', path: '/messenger/groups/:group/presence' },
    scope: 'messenger:read',
    command: {
      name: 'presence',
      arguments: ['group'],
      show: ({ items, typing }: { items: Present[]; typing: string[] }) =>
        [
          ...items.map(each => `${each.name}: ${showPresent(each)}`),
          ...typing.map(name => `${name} is writing`)
        ].join('\n') || 'nobody says'
    }
  }),
  setPresence: operation({
    summary: 'You are here, away, or writing in a chat; members hear it now, and it is kept nowhere',
    input: z.object({ is: z.enum(['here', 'away', 'typing']), group: id.optional().describe('of typing') }),
    output: z.object({}),
    http: { method: 'PUT', path: '/messenger/presence' },
    scope: 'messenger:write',
    isIdempotent: true,
    command: false
  }),
  search: operation({
    summary: 'Messages with these words in any of their forms, in Russian and English',
    input: z.object({ text: z.string().min(1).max(200), limit: z.int().min(1).max(100).default(50) }),
    output: z.object({ items: z.array(z.object({ chat: z.string(), line })) }),
    http: { method: 'GET', path: '/messenger/search' },
    scope: 'messenger:read',
    command: {
      name: 'search',
      arguments: ['text'],
      show: ({ items }: { items: { line: Shown }[] }) => items.map(each => showLine(each.line)).join('\n')
    }
  }),
  sendFile: operation({
    summary: 'Send a file of at most 5 MB of this machine to a chat',
    input: z.object({
      group: id,
      path: z.string().max(4096).meta({ isPath: true }),
      name: title.optional().describe('default: that of the file')
    }),
    output: z.object({ id }),
    http: { method: 'POST', path: '/messenger/groups/:group/files/from-path', status: 201 },
    // it reads whatever the node may read
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: { name: 'send-file', arguments: ['group', 'path'] }
  }),
  addFile: operation({
    summary: 'Send a file of at most 5 MB to a chat; pictures lose where and when they were taken',
    input: z.object({ group: id, name: title, bytes: base64.describe('the file itself') }),
    output: z.object({ id }),
    http: {
      method: 'POST',
      path: '/messenger/groups/:group/files',
      status: 201,
      bodyBytes: 2 * MAX_FILE_BYTES
    },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: false
  }),
  report: operation({
    summary: 'Tell an admin of the school about a message; he gets it signed, with what was said before it',
    input: z.object({ message: id, reason: z.string().min(1).max(1_000) }),
    output: z.object({ id, chat: id }),
    http: { method: 'POST', path: '/messenger/reports', status: 201 },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: { name: 'report', arguments: ['message', 'reason'] }
  }),
  file: operation({
    summary: 'A file that somebody sent',
    input: z.object({ message: id }),
    output: z.object({
      name: z.string(),
      bytes: base64,
      picture: z
        .enum(['image/png', 'image/jpeg', 'image/gif', 'image/webp'])
        .optional()
        .describe('what may be shown of it: what it is, whatever its name says')
    }),
    http: { method: 'GET', path: '/messenger/files/:message' },
    scope: 'messenger:read',
    deadlineMs: 120_000,
    command: false
  }),
  saveFile: operation({
    summary: 'Write a file that somebody sent to a path of this machine',
    input: z.object({
      message: id,
      path: z.string().min(1).max(4096).describe('must not be there yet').meta({ isPath: true })
    }),
    output: z.object({ name: z.string(), size: z.number() }),
    http: { method: 'POST', path: '/messenger/files/:message/to-path' },
    // it writes wherever the node may write
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: { name: 'save-file', arguments: ['message', 'path'] }
  })
}
