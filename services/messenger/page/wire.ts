import type { z } from 'zod'
import type { administration } from '../admin/declared.ts'
import type { carrying } from '../carried/declared.ts'
import type { chatting } from '../device/declared.ts'
import type { later } from '../people/later-declared.ts'
import type { moderation } from '../people/moderation-declared.ts'
import type { schooling } from '../school/declared.ts'

/** What travels, as JSON has it. */
type Answer<O extends { output: z.ZodType }> = z.input<O['output']>

export type Status = Answer<typeof schooling.status>
export type Kept = Answer<typeof later.later>['items'][number]
export type User = Answer<typeof schooling.users>['items'][number]
export type Imported = Answer<typeof schooling.importUsers>
export type Card = Imported['cards'][number]
export type Invitation = Answer<typeof schooling.invite>
export type DeviceCode = Answer<typeof schooling.addDevice>
export type Revoked = Answer<typeof schooling.revoke>
export type Policy = Answer<typeof schooling.setPolicy>

export type Chat = Answer<typeof chatting.groups>['items'][number]
export type Line = Answer<typeof chatting.messages>['items'][number]
export type Presence = Answer<typeof chatting.presence>
export type Found = Answer<typeof chatting.search>['items'][number]
export type Pins = Answer<typeof moderation.pins>['items']
export type Reported = Answer<typeof moderation.reports>['items'][number]
export type Announced = Answer<typeof moderation.announce>
export type SentFile = Answer<typeof chatting.file>

export type Finding = Answer<typeof administration.health>['items'][number]
export type Backup = Answer<typeof administration.backup>
export type Restored = Answer<typeof administration.restore>
export type CarriedIn = Answer<typeof carrying.carryIn>
export type Cleaned = Answer<typeof administration.cleanup>
export type Certified = Answer<typeof administration.cert>
export type Guide = Answer<typeof administration.incident>
export type LogName = z.input<(typeof administration.log)['input']>['name'] & string
/** of the node itself: GET /api/v1/release */
export interface Program {
  version: string
  former?: string
  trial?: string
  /** `faults`: the same by name; an older node has none */
  failed?: { version: string; why: string; faults?: { is: string; of: string[] }[] }
}
export type Stats = Answer<typeof administration.stats>
