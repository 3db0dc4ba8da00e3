import { z } from 'zod'
import type { Signer } from '../../../ledger/index.ts'
import {
  bytesOf,
  checkSignature,
  count,
  hash32,
  hashOf,
  keyName,
  NO_HASH,
  pack,
  type Signed,
  shape,
  signAs,
  time,
  unpack
} from './codec.ts'
import { MESSAGES_PER_MINUTE } from './constants.ts'

/* What the roster is made of. Statement 0 founds a school; its hash is the school's id. */

export const MAX_STATEMENT_BYTES = 64 * 1024
export const MAX_USERS = 100
export const MAX_MAILBOXES = 5
/** Of a person, that count, where one more is vouched for by another of them; and in all, ever. */
export const MAX_OWN_DEVICES = 5
export const MAX_VOUCHED = 20
/** Recovery codes of a person, ever. */
export const MAX_RECOVERIES = 20

export const roles = z.enum(['admin', 'teacher', 'pupil'])
export type Role = z.output<typeof roles>

/** Letters of any script, digits, dots, dashes. */
export const userId = z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$/u, 'letters, digits, . _ - only')
export const title = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}]*$/u, 'no control characters')

const user = z.object({
  id: userId,
  name: title,
  role: roles,
  classes: z.array(title).max(20),
  isDisabled: z.boolean(),
  /** public key of the invitation that lets one device in */
  invite: keyName.optional()
})
export type User = z.output<typeof user>

const device = z.object({ user: userId, device: keyName, peer: keyName, name: title })

export const policySchema = z.object({
  pupilsToPupils: z.boolean().describe('pupils write to each other where no teacher is'),
  pupilGroups: z.boolean().describe('pupils make groups'),
  pupilFiles: z.boolean().describe('pupils send files'),
  editMinutes: z.int().min(0).max(525_600).describe('minutes in which a message can be edited or deleted'),
  // schools of before have neither
  presence: z.boolean().optional().describe('members of a chat see who of them is here'),
  messagesPerMinute: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      `messages of a device in a minute, ${MESSAGES_PER_MINUTE} unless told; what is more comes later`
    ),
  // which zones there are is not the same at all nodes: whoever states them checks them
  quietHours: z
    .array(z.string().max(100))
    .max(20)
    .optional()
    .describe('in which what people say reaches none of quietRoles; each as 1-7 21:00-07:00 Europe/Moscow'),
  quietRoles: z.array(roles).max(3).optional().describe('whose quiet hours these are, pupils unless told')
})
export type Policy = z.output<typeof policySchema>
export const FIRST_POLICY: Policy = {
  pupilsToPupils: false,
  pupilGroups: false,
  pupilFiles: true,
  editMinutes: 60
}

const mailboxes = z.array(keyName).min(1).max(MAX_MAILBOXES)
const bodies = {
  found: z.object({ name: title, user, device, mailboxes, policy: policySchema }),
  /** adds people, or says anew what is known of them */
  users: z.object({ users: z.array(user).min(1).max(MAX_USERS) }),
  /**
   * A device says that it is there, and the key of its user's invitation has signed it; or another device of the user
   * says so, and the new one has signed that it agrees.
   */
  device: device.extend({ vouch: bytesOf(64) }),
  revoke: z.object({ device: keyName }),
  /** of who states it: a key that lets one device of his in, as an invitation does, should he lose the others */
  recovery: z.object({ key: keyName }),
  mailboxes: z.object({ mailboxes }),
  policy: policySchema
}
export type Kind = keyof typeof bodies
export type Body<K extends Kind> = z.output<(typeof bodies)[K]>

export type Statement = {
  [K in Kind]: {
    school: Uint8Array
    n: number
    by: string
    timeMs: number
    kind: K
    body: Body<K>
  }
}[Kind]

const tuple = z.tuple([
  z.literal(1),
  hash32,
  count,
  keyName,
  time,
  z.enum(Object.keys(bodies) as Kind[]),
  z.unknown()
])

export function signStatement(signer: Signer, { school, n, by, timeMs, kind, body }: Statement): Signed {
  return signAs(signer, 'statement', pack([1, school, n, by, timeMs, kind, body]))
}

/** @throws {MalformedMessageError} also where `by` did not sign it */
export function readStatement(signed: Signed): Statement {
  const [, school, n, by, timeMs, kind, value] = unpack(
    tuple,
    signed.bytes,
    MAX_STATEMENT_BYTES,
    'a statement'
  )
  const body = shape(bodies[kind] as z.ZodType<Body<Kind>>, value, `a statement ${kind}`)
  checkSignature(by, 'statement', signed)
  return { school, n, by, timeMs, kind, body } as Statement
}

/** The school that a founding statement founds. */
export const schoolOf = (founding: Signed): Uint8Array => hashOf(founding.bytes)
export const UNFOUNDED = NO_HASH

/** What an invitation's key signs. */
export const vouchFor = (school: Uint8Array, user: string, device: string, peer: string): Uint8Array =>
  pack([school, user, device, peer])

/** What a device signs that another of its user, `by`, is to vouch for. */
export const consentFor = (
  school: Uint8Array,
  user: string,
  device: string,
  peer: string,
  by: string
): Uint8Array => pack([school, user, device, peer, by])
