import { z } from 'zod'
import { hoursTexts } from '../../host/index.ts'
import { head } from '../documents/target.ts'

const ms = z.int().min(0).max(8.64e15)

/** What TVs of this kind of player show. */
const ENDINGS: Readonly<Record<string, string>> = {
  'video/mp4': 'mp4',
  'video/webm': 'webm',
  'image/jpeg': 'jpg',
  'image/png': 'png'
}
export const MEDIA = Object.keys(ENDINGS)

export const asset = z.object({
  cid: z.string().min(40).max(100),
  sha256: z.string().regex(/^[\da-f]{64}$/),
  bytes: z.int().min(1),
  mime: z.enum(MEDIA as [string, ...string[]]),
  /** how long it is shown */
  ms: z.int().min(100).max(3_600_000)
})
export type Asset = z.output<typeof asset>

export const plan = {
  advertiser: z.string().max(100).default(''),
  schedule: hoursTexts.describe(
    'weekdays and hours in a time zone, as 1-5 07:00-23:00 Europe/Moscow; default: always'
  ),
  priority: z.int().min(0).max(100).default(50).describe('the higher one is shown where two overlap')
}

/** What is shown one after the other, from `start` to before `end`, while its schedule says so. */
export const campaign = z.object({
  ...head,
  ...plan,
  assets: z.array(asset).min(1).max(50),
  start: ms,
  end: ms
})
export type Campaign = z.output<typeof campaign>

export const FOLDER = '/sdcard/artel'
/** By its content: the same file of two campaigns is there once. */
export const pathOf = ({ sha256, mime }: Asset): string =>
  `${FOLDER}/${sha256.slice(0, 40)}.${ENDINGS[mime] ?? 'bin'}`
