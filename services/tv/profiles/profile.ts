import { z } from 'zod'
import { SCREEN_FAULTS, type ScreenFault } from '../campaigns/watch-screen.ts'
import type { Value } from '../condition.ts'

/** What a reading is found by in what a command says. */
const pattern = z.strictObject({
  /** which command */
  of: z.int().min(0).max(31),
  /** its first group is the value */
  match: z.string().max(500),
  type: z.enum(['text', 'number', 'boolean']).default('text'),
  /** what a value means; what is not named means itself */
  map: z.record(z.string(), z.string()).optional(),
  times: z.number().optional()
})
const words = z.array(z.string().max(500)).min(1).max(32)

/** How a model of TVs is asked, as JSON has it; what it does not say is as `BASE` says. */
export const profileSchema = z.strictObject({
  /** part of the model's name */
  model: z.string().min(1).max(100),
  gather: z.array(words).max(32).optional(),
  readings: z.record(z.string(), pattern).optional(),
  steps: z.record(z.string(), z.array(words).max(8)).optional(),
  screen: z.array(z.enum(SCREEN_FAULTS)).max(2).optional()
})

export interface Profile {
  /** commands that tell the state */
  gather: readonly (readonly string[])[]
  readings: Readonly<Record<string, z.output<typeof pattern>>>
  /** of operations that this model wants otherwise */
  steps: Readonly<Record<string, readonly (readonly string[])[]>>
  /** what of its pictures ails it for a minute of a campaign; many models leave films out of them, and show black */
  screen: readonly ScreenFault[]
}

/** What the commands said is made into readings; what is not found is left out. Pure. */
export function readState({ readings }: Profile, sections: readonly string[]): Record<string, Value> {
  const found: Record<string, Value> = {}
  for (const [name, { of, match, type, map, times = 1 }] of Object.entries(readings)) {
    const [, text] = new RegExp(match, 'm').exec(sections[of] ?? '') ?? []
    if (text == null) continue
    const value = map != null && Object.hasOwn(map, text) ? map[text]! : text
    if (type === 'number') {
      const number = Number(value) * times
      if (Number.isFinite(number)) found[name] = number
    } else found[name] = type === 'boolean' ? value === 'true' : value.slice(0, 200)
  }
  return found
}
