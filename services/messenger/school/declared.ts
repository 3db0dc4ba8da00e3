import { z } from 'zod'
import { base64, hoursTexts, operation } from '../../host/index.ts'
import { policySchema, roles, title, userId } from '../core/statement.ts'

/* The school of a node, and its people. */

const peer = z.string().min(40).max(64)
const device = z.object({ id: z.string(), name: z.string(), peer: z.string() })
const user = z.object({
  id: z.string(),
  name: z.string(),
  role: roles,
  classes: z.array(z.string()),
  isDisabled: z.boolean(),
  devices: z.array(device)
})
const card = z.object({
  user: z.string().describe('his login, and the name of his account'),
  name: z.string(),
  password: z.string().describe('the first one, good once: with it he chooses his own'),
  expires: z.number().describe('ms since 1970'),
  address: z.string().optional().describe('where he signs in')
})
type Card = z.output<typeof card>
const hosted = z.object({
  user: z.string(),
  isInvited: z.boolean().describe('a device may come in by his next sign-in'),
  isOpen: z.boolean().describe('signed in now')
})
/** printed on the card, to be cut out and handed over */
const address = z.url().max(200).optional().describe('where they sign in, as it stands on the cards')
const RULE = '-'.repeat(60)
const showCard = ({ user, name, password, expires, address }: Card): string =>
  [
    name,
    `  address:         ${address ?? ''}`,
    `  name:            ${user}`,
    `  first password:  ${password}`,
    `  Until ${new Date(expires).toISOString().slice(0, 10)} it lets you choose your own. Then print your recovery code (My devices).`,
    RULE
  ].join('\n')
const invitation = z.object({ user: z.string(), name: z.string(), code: z.string() })

const status = z.object({
  school: z.object({ id: z.string(), name: z.string(), head: z.number() }).optional(),
  me: z.object({ id: z.string(), name: z.string(), role: roles }).optional(),
  device: z.string(),
  mailboxes: z.array(peer),
  isMailbox: z.boolean(),
  outbox: z.number().describe('envelopes that a mailbox does not have yet'),
  mail: z.object({ count: z.number(), bytes: z.number() }).describe('what is kept here for others'),
  policy: policySchema.optional(),
  quiet: z
    .object({ from: z.number(), until: z.number() })
    .optional()
    .describe('quiet hours of the person of this device that are now; ms since 1970'),
  isYours: z.boolean().optional().describe('whether who asks is the person of this device'),
  home: z
    .enum(['open', 'locked'])
    .optional()
    .describe('of who asks and has his home here without a device: whether his password opens what he has'),
  recovery: z
    .object({
      at: z.number().describe('ms since 1970'),
      device: z.string().describe('that made it, by name')
    })
    .optional()
    .describe('the recovery code of the person of this device'),
  pairing: z
    .union([
      z.object({
        digits: z.string().describe('to be typed on the device that shows the code'),
        until: z.number().describe('ms since 1970')
      }),
      z.object({ failed: z.string() })
    ])
    .optional()
    .describe('of a device that came with the code of another')
})

const imported = z.object({
  lines: z.array(
    z.object({
      line: z.number(),
      id: z.string(),
      name: z.string(),
      role: z.string(),
      classes: z.array(z.string()),
      action: z.enum(['create', 'change', 'same', 'wrong']),
      mistake: z.string().optional()
    })
  ),
  isApplied: z.boolean(),
  invitations: z.array(invitation),
  cards: z.array(card).describe('of people whose home this node is, and who have no password yet')
})

export const schooling = {
  status: operation({
    summary: 'The school of this node, and its mail',
    input: z.object({}),
    output: status,
    http: { method: 'GET', path: '/messenger/status' },
    scope: 'messenger:read'
  }),
  found: operation({
    summary: 'Found a school; this node is its first mailbox, its owner its first admin',
    input: z.object({
      name: title.describe('of the school'),
      login: userId.default('admin').describe('yours'),
      me: title.describe('your name'),
      device: title.default('computer').describe('what this computer is called')
    }),
    output: status,
    http: { method: 'POST', path: '/messenger/roster', status: 201 },
    scope: 'messenger:admin',
    command: {
      name: 'found',
      arguments: ['name', 'me'],
      examples: ['messenger found "School 7" "Anna Petrova"']
    }
  }),
  join: operation({
    summary:
      'Join a school with the code of an invitation, or with that of your other device, on which you then type the digits of the answer',
    input: z.object({
      code: z.string().min(1).max(2_000),
      device: title.default('computer').describe('what this computer is called')
    }),
    output: status,
    http: { method: 'POST', path: '/messenger/roster/join' },
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: { name: 'join', arguments: ['code'] }
  }),
  users: operation({
    summary: 'The people of the school and their devices',
    input: z.object({}),
    output: z.object({ items: z.array(user) }),
    http: { method: 'GET', path: '/messenger/users' },
    scope: 'messenger:read',
    command: {
      name: 'users',
      show: ({ items }: { items: z.output<typeof user>[] }) =>
        items
          .map(
            each =>
              `${each.id}  ${each.name}  ${each.role}  ${each.classes.join('|')}  ${each.devices.length}`
          )
          .join('\n')
    }
  }),
  addUser: operation({
    summary: 'Add a person, or change what is known of him; the code lets one device in',
    input: z.object({
      user: userId,
      name: title,
      role: roles.default('pupil'),
      classes: z.array(title).max(20).default([]),
      isDisabled: z.boolean().default(false)
    }),
    output: z.object({ invitation: invitation.optional() }),
    http: { method: 'PUT', path: '/messenger/users/:user' },
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: {
      name: 'add-user',
      arguments: ['user', 'name'],
      examples: ['messenger add-user ann "Ann Lee" --role teacher --classes 7b']
    }
  }),
  invite: operation({
    summary: 'A new code that lets one device of a person in; an older one that nobody used is void',
    input: z.object({ user: userId }),
    output: invitation,
    http: { method: 'POST', path: '/messenger/users/:user/invitation' },
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: { name: 'invite', arguments: ['user'] }
  }),
  importUsers: operation({
    summary:
      'Add people from a CSV list (UTF-8 or windows-1251); shows what it would do, and does it with --apply',
    input: z.object({
      path: z.string().max(4096).optional().describe('of the list on this machine').meta({ isPath: true }),
      csv: base64.optional().describe('the list itself'),
      apply: z.boolean().default(false).describe('do it; lines with mistakes are left out'),
      hosted: z
        .boolean()
        .default(false)
        .describe('of new people this node is the home: an account and a card each, and no computer'),
      address
    }),
    output: imported,
    http: { method: 'POST', path: '/messenger/imports', bodyBytes: 4 * 1024 * 1024 },
    // it reads whatever the node may read
    scope: 'messenger:admin',
    deadlineMs: 300_000,
    command: {
      name: 'import',
      arguments: ['path'],
      examples: [
        'messenger import people.csv',
        'messenger import people.csv --apply',
        'messenger import people.csv --hosted --address https://chat.school7.example --apply'
      ],
      show: ({ lines, invitations, cards }: z.output<typeof imported>) =>
        [
          ...lines.map(
            each => `${each.line}: ${each.action}  ${each.id}  ${each.name}  ${each.mistake ?? ''}`
          ),
          ...invitations.map(each => `${each.name}: ${each.code}`),
          ...(cards.length > 0 ? [RULE, ...cards.map(showCard)] : [])
        ].join('\n')
    }
  }),
  hostUser: operation({
    summary:
      'Be the home of a person without a computer, who signs in with an account of this node; one whose password was given anew begins anew by it',
    input: z.object({
      user: userId,
      second: z
        .boolean()
        .default(false)
        .describe('he has a home or a computer already, which lets him in with all that he has there'),
      address
    }),
    output: hosted.extend({ card: card.optional().describe('where he has no password here yet') }),
    http: { method: 'PUT', path: '/messenger/hosted/:user' },
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: {
      name: 'host',
      arguments: ['user'],
      examples: ['messenger host ann', 'messenger host ann --second'],
      show: ({ user, card }: { user: string; card?: Card }) =>
        card == null ? `this node is the home of ${user}, who has an account here` : showCard(card)
    }
  }),
  hosted: operation({
    summary: 'People whose home this node is',
    input: z.object({}),
    output: z.object({ items: z.array(hosted) }),
    http: { method: 'GET', path: '/messenger/hosted' },
    scope: 'messenger:admin',
    command: {
      name: 'hosted',
      show: ({ items }: { items: z.output<typeof hosted>[] }) =>
        items
          .map(
            ({ user, isInvited, isOpen }) =>
              `${user}  ${isInvited ? 'a device may come in' : isOpen ? 'signed in' : 'sealed'}`
          )
          .join('\n')
    }
  }),
  unhostUser: operation({
    summary: 'Be the home of a person no longer: what he has here is gone for good',
    input: z.object({ user: userId }),
    output: z.object({}),
    http: { method: 'DELETE', path: '/messenger/hosted/:user' },
    scope: 'messenger:admin',
    command: { name: 'unhost', arguments: ['user'] }
  }),
  joinHome: operation({
    summary:
      'Let this home in by the code that another device of yours shows, on which you then type the digits of the status',
    input: z.object({ code: z.string().min(1).max(2_000) }),
    output: z.object({}),
    http: { method: 'POST', path: '/messenger/home/join' },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: false
  }),
  openHome: operation({
    summary: 'Open what you have at this home by your recovery code, after your password was given anew',
    input: z.object({ code: z.string().min(1).max(2_000) }),
    output: z.object({}),
    http: { method: 'POST', path: '/messenger/home/open' },
    scope: 'messenger:write',
    command: false
  }),
  beginAnew: operation({
    summary: 'Without that code: begin anew at this home, without what you had; an admin has to let you',
    input: z.object({}),
    output: z.object({}),
    http: { method: 'POST', path: '/messenger/home/anew' },
    scope: 'messenger:write',
    command: false
  }),
  addDevice: operation({
    summary:
      'Show a code with which another device of yours comes in (join CODE there); it is good for one try and five minutes',
    input: z.object({}),
    output: z.object({ code: z.string(), until: z.number().describe('ms since 1970') }),
    http: { method: 'POST', path: '/messenger/devices/code', status: 201 },
    scope: 'messenger:write',
    command: { name: 'add-device' }
  }),
  confirmDevice: operation({
    summary: 'Let in the device that came with the code, by the six digits that it shows',
    input: z.object({ digits: z.string().regex(/^(\s*\d){6}\s*$/, 'six digits') }),
    output: device,
    http: { method: 'POST', path: '/messenger/devices', status: 201 },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: { name: 'confirm-device', arguments: ['digits'] }
  }),
  makeRecovery: operation({
    summary:
      'Make a code that lets one computer of yours in with all that you had (join CODE), should you lose the others; an older one is void',
    input: z.object({}),
    output: z.object({ code: z.string() }),
    http: { method: 'POST', path: '/messenger/recovery', status: 201 },
    scope: 'messenger:write',
    deadlineMs: 120_000,
    command: { name: 'recovery-code' }
  }),
  revoke: operation({
    summary: 'A device does not count any more; with --all neither do those that came in by it',
    input: z.object({
      device: peer,
      all: z
        .boolean()
        .optional()
        .describe('of one that was stolen: what it, or a recovery code of it, let in goes, too, but the own')
    }),
    output: z.object({
      revoked: z.array(peer),
      refused: z
        .array(z.object({ device: peer, reason: z.string() }))
        .describe('what counts on, while the others do not')
    }),
    http: { method: 'DELETE', path: '/messenger/devices/:device' },
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: {
      name: 'revoke',
      arguments: ['device'],
      examples: ['messenger revoke ID --all'],
      exit: ({ refused }: { refused: unknown[] }) => (refused.length > 0 ? 1 : 0)
    }
  }),
  setMailboxes: operation({
    summary: 'Name the nodes that keep mail and decide who is in; 1, 3 or 5 are best',
    input: z.object({ peers: z.array(peer).min(1).max(5).describe('peer ids') }),
    output: status,
    http: { method: 'PUT', path: '/messenger/admin/mailboxes' },
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: { name: 'mailboxes', arguments: ['peers'] }
  }),
  setPolicy: operation({
    summary: 'What people may do; every receiver holds to it',
    input: policySchema.partial().extend({
      quietHours: hoursTexts.removeDefault().optional().describe(policySchema.shape.quietHours.description!)
    }),
    output: policySchema,
    http: { method: 'PATCH', path: '/messenger/admin/policy' },
    scope: 'messenger:admin',
    deadlineMs: 120_000,
    command: {
      name: 'policy',
      examples: [
        'messenger policy --quiet-hours "1-7 21:00-07:00 Europe/Moscow"',
        'messenger policy --quiet-hours ""'
      ]
    }
  })
}
