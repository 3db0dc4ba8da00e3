import { z } from 'zod'
import { EXIT, group, operation } from '../host/index.ts'
import * as people from './people.ts'

const MAX_LIST_CHARS = 1_000_000
/** in UTF-8 */
const LIST_BYTES = 4 * MAX_LIST_CHARS

const { id, role } = people
const who = z.object({ id: id.describe('id or name of the account') })
const admin = { scope: 'admin' } as const
const gone = { output: z.void(), ...admin }
/** an answer with a link */
const invited = { output: people.newInvitation, ...admin }
const show = ({ name, role, code }: people.NewInvitation): string =>
  `${name ?? `a new ${role}`} chooses a password at ADDRESS_OF_THE_DASHBOARD/#invite=${code}, within seven days`

const isWrong = ({ action }: people.Imported['lines'][number]): boolean => action === 'wrong'
const showImported = ({ lines, isDone, invitations }: people.Imported): string =>
  [
    ...lines.map(({ line, name, role, action, mistake }) =>
      [`${line}:`, name, role, action, mistake].filter(Boolean).join(' ')
    ),
    ...invitations.map(show),
    isDone ? 'done' : 'nothing was done'
  ].join('\n')

export const account = group({
  name: 'account',
  summary: 'people who sign in to this node',
  setting: 'gateway.enabled',
  operations: {
    list: operation({
      summary: 'Everybody who may sign in',
      input: z.object({}),
      output: people.accounts,
      http: { method: 'GET', path: '/accounts' },
      ...admin
    }),
    add: operation({
      summary: 'Make an account; with the code of the answer its person chooses a password',
      input: z.strictObject({ name: z.string().min(1).max(200), role }),
      http: { method: 'POST', path: '/accounts', status: 201 },
      command: { arguments: ['name'], examples: ["account add 'Anna Petrova' --role teacher"], show },
      ...invited
    }),
    setRole: operation({
      summary: 'Give another role; the sessions end',
      input: who.extend({ role }),
      output: people.accountRow,
      http: { method: 'PUT', path: '/accounts/:id/role' },
      command: { name: 'role', arguments: ['id', 'role'], examples: ["account role 'Anna Petrova' pupil"] },
      ...admin
    }),
    disable: operation({
      summary: 'Let somebody in no more; the sessions end, everywhere and at once',
      input: who,
      output: people.accountRow,
      http: { method: 'POST', path: '/accounts/:id/disable' },
      isIdempotent: true,
      command: { arguments: ['id'], examples: ["account disable 'Anna Petrova'"] },
      ...admin
    }),
    enable: operation({
      summary: 'Let somebody in again',
      input: who,
      output: people.accountRow,
      http: { method: 'POST', path: '/accounts/:id/enable' },
      isIdempotent: true,
      command: { arguments: ['id'], examples: ["account enable 'Anna Petrova'"] },
      ...admin
    }),
    remove: operation({
      summary: 'Remove an account for good',
      input: who,
      http: { method: 'DELETE', path: '/accounts/:id', status: 204 },
      command: {
        arguments: ['id'],
        examples: ["account remove 'Anna Petrova' --yes"],
        confirm: ({ id }: { id: string }) => `This removes the account ${id} for good.`
      },
      ...gone
    }),
    reset: operation({
      summary: 'End the password and all sessions; with the code of the answer its person chooses a new one',
      input: who,
      http: { method: 'POST', path: '/accounts/:id/reset', status: 201 },
      command: { arguments: ['id'], examples: ["account reset 'Anna Petrova'"], show },
      ...invited
    }),
    removeSecondFactor: operation({
      summary: 'Ask no code any more, for who lost the telephone',
      input: who,
      http: { method: 'DELETE', path: '/accounts/:id/second-factor', status: 204 },
      command: { arguments: ['id'], examples: ["account remove-second-factor 'Anna Petrova'"] },
      ...gone
    }),
    import: operation({
      summary: 'Bring in a list of people: all of it, or, where a line is wrong, nothing',
      input: z.strictObject({
        list: z.string().max(MAX_LIST_CHARS).describe('CSV with a heading: name,role').meta({ isFile: true }),
        role: role.describe('where a line has none'),
        isPreview: z.boolean().default(false).describe('only say what it would do')
      }),
      output: people.imported,
      http: { method: 'POST', path: '/accounts/import', bodyBytes: LIST_BYTES },
      command: {
        arguments: ['list'],
        examples: [
          'account import class-7b.csv --role pupil --is-preview',
          "account import class-7b.csv --role pupil --json | jq -r '.invitations[] | [.name, .code] | @tsv'"
        ],
        show: showImported,
        exit: ({ lines }: people.Imported) => (lines.some(isWrong) ? EXIT.usage : 0)
      },
      ...admin
    }),
    sessions: operation({
      summary: 'Where people are signed in, newest use first',
      input: z.object({ account: id.optional().describe('id; default: of all') }),
      output: people.sessions,
      http: { method: 'GET', path: '/sessions' },
      ...admin
    }),
    endSession: operation({
      summary: 'End a session at once',
      input: z.object({ id }),
      http: { method: 'DELETE', path: '/sessions/:id', status: 204 },
      command: { arguments: ['id'], examples: ['account end-session s5f0c3f1e9a7b2d44'] },
      ...gone
    }),
    invitations: operation({
      summary: 'Invitations that were not accepted yet',
      input: z.object({}),
      output: people.invitations,
      http: { method: 'GET', path: '/invitations' },
      ...admin
    }),
    invite: operation({
      summary: 'Invite somebody who chooses name and password; the code is shown only now',
      input: z.strictObject({ role }),
      http: { method: 'POST', path: '/invitations', status: 201 },
      command: { arguments: ['role'], examples: ['account invite pupil'], show },
      ...invited
    }),
    withdraw: operation({
      summary: 'Make an invitation worthless',
      input: z.object({ id }),
      http: { method: 'DELETE', path: '/invitations/:id', status: 204 },
      command: { arguments: ['id'], examples: ['account withdraw i5f0c3f1e9a7b2d44'] },
      ...gone
    }),
    roles: operation({
      summary: 'What people may do, by role',
      input: z.object({}),
      output: people.roles,
      http: { method: 'GET', path: '/roles' },
      ...admin
    }),
    changeRole: operation({
      summary: 'Make a role, or give one other scopes; the sessions of its people end',
      input: people.roleRow,
      output: people.roleRow,
      http: { method: 'POST', path: '/roles' },
      command: { arguments: ['name', 'scopes'], examples: ['account change-role helper read files:read'] },
      ...admin
    }),
    removeRole: operation({
      summary: 'Remove a role that nobody has',
      input: z.object({ name: role }),
      http: { method: 'DELETE', path: '/roles/:name', status: 204 },
      command: { arguments: ['name'], examples: ['account remove-role helper'] },
      ...gone
    })
  }
})
