import { z } from 'zod'

/** What travels about people. Pure: a browser can load it. Times are ms since 1970. */

const time = z.number().describe('ms since 1970')
export const id = z.string().min(1).max(64)
export const role = z.string().min(1).max(32)
const password = z.string().min(1).max(1000)
const code = z.string().min(1).max(20).describe('of the second factor, six digits')
const inBrowser = z
  .boolean()
  .optional()
  .describe('the session goes into HttpOnly cookies, and the answer has no token')

export const accountRow = z.object({
  id,
  name: z.string(),
  role,
  created: time,
  isDisabled: z.boolean(),
  hasPassword: z.boolean().describe('false until the invitation was accepted'),
  hasSecondFactor: z.boolean()
})
export const accounts = z.object({ items: z.array(accountRow) })
export type Account = z.infer<typeof accountRow>

export const session = z.object({
  id,
  account: id,
  name: z.string(),
  created: time,
  used: time,
  expires: time.describe('when it ends if nobody uses it, ms since 1970'),
  address: z.string(),
  agent: z.string().describe('as the browser or program calls itself')
})
export const sessions = z.object({ items: z.array(session) })
export type Session = z.infer<typeof session>

export const signInBody = z.strictObject({
  name: z.string().min(1).max(200),
  password,
  code: code.optional(),
  inBrowser
})
export const signedIn = z.object({ token: z.string().optional(), session, account: accountRow })
export type SignedIn = z.infer<typeof signedIn>

/** Who asks. */
export const me = z.object({
  scopes: z.array(z.string()),
  expires: time.optional(),
  account: accountRow.optional().describe('absent for a token'),
  session: id.optional(),
  home: z
    .string()
    .optional()
    .describe('the node that has the account, where that is another one: its peer id')
})
export type Me = z.infer<typeof me>

export const passwordBody = z.strictObject({ current: password, password })
export const codeBody = z.strictObject({ code })
export const secondFactor = z.object({
  secret: z.string().describe('base32, for who types it'),
  uri: z.string().describe('otpauth://, for a QR code')
})
export type SecondFactor = z.infer<typeof secondFactor>

export const invitation = z.object({
  id,
  role,
  name: z.string().optional().describe('absent: who accepts it chooses'),
  created: time,
  expires: time
})
export const invitations = z.object({ items: z.array(invitation) })
export type Invitation = z.infer<typeof invitation>
/** the only answer that holds the code */
export const newInvitation = invitation.extend({
  code: z.string().describe('the link is the address of the dashboard and `#invite=` with this')
})
export type NewInvitation = z.infer<typeof newInvitation>
export const lookBody = z.strictObject({ code: z.string().min(1).max(200) })
export const acceptBody = z.strictObject({
  code: z.string().min(1).max(200),
  name: z.string().min(1).max(200).optional(),
  password,
  inBrowser
})

export const imported = z.object({
  lines: z.array(
    z.object({
      line: z.int(),
      name: z.string(),
      role: z.string(),
      action: z.enum(['create', 'change', 'same', 'wrong']),
      mistake: z.string().optional()
    })
  ),
  isDone: z.boolean().describe('false for a preview, and where a line is wrong: then nothing was done'),
  invitations: z.array(newInvitation)
})
export type Imported = z.infer<typeof imported>

export const roleRow = z.strictObject({
  name: role,
  scopes: z.array(z.string().max(64)).max(100)
})
export const roles = z.object({
  items: z.array(roleRow),
  scopes: z.array(z.string()).describe('those that there are to give')
})
export type Roles = z.infer<typeof roles>
export type Role = z.infer<typeof roleRow>
