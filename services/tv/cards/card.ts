import { z } from 'zod'
import { hoursTexts } from '../../host/index.ts'
import { isCondition } from '../condition.ts'
import { head } from '../documents/target.ts'

const args = z
  .record(z.string().max(64), z.union([z.string().max(8000), z.number(), z.boolean()]))
  .default({})
const action = z.object({ operation: z.string().min(1).max(64), args })
const condition = z
  .string()
  .min(1)
  .max(300)
  .refine(isCondition, 'is no condition; write it like volume>10 & power=on')

export const trigger = z.object({
  when: condition.describe('readings of the TV, as volume>10 & power=on'),
  hours: hoursTexts.describe(
    'only then, as 1-7 22:00-07:00 Europe/Moscow: it begins and ends with them; default: always'
  ),
  for: z.number().min(0).max(86_400).default(0).describe('seconds that it must be so'),
  cooldown: z.number().min(10).max(604_800).default(60).describe('seconds until it can act again'),
  do: z.array(action).min(1).max(10).describe('operations, one after the other')
})
export type Trigger = z.output<typeof trigger>

/** What people see of a TV, what they can press, and what it does by itself. */
export const cardParts = {
  fields: z
    .array(
      z.object({
        label: z.string().min(1).max(60),
        metric: z.string().min(1).max(64),
        /** what is to be seen to, and what is wrong */
        warn: condition.optional(),
        bad: condition.optional()
      })
    )
    .max(50)
    .default([]),
  buttons: z
    .array(action.extend({ label: z.string().min(1).max(60), confirm: z.boolean().default(false) }))
    .max(50)
    .default([]),
  triggers: z.array(trigger).max(20).default([])
}

export const card = z.object({ ...head, ...cardParts })
export type Card = z.output<typeof card>
