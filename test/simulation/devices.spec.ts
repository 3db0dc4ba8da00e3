import { deepEqual, ok } from 'node:assert/strict'
import { checkDevices } from './devices.ts'

// `npm run simulate -- devices --seeds 1000` tries as many as one likes
const SEEDS = 15
/** a chain that its agent had lost carried the same entries before */
const HARD = 49

describe('devices: an agent and two witnesses, seeded', () => {
  for (const setsBack of [false, true])
    it(`lose nothing and double nothing${setsBack ? ', also where the disk is set back' : ''}`, async () => {
      const problems: string[] = []
      let crashes = 0
      for (const seed of [...Array.from({ length: SEEDS }, (_, i) => i + 1), HARD]) {
        const { problem, ...counts } = await checkDevices(seed, setsBack)
        crashes += counts.crashes
        if (problem != null) problems.push(`seed ${seed}: ${problem}`)
      }
      deepEqual(problems, [])
      ok(crashes > SEEDS, 'something happened')
    })
})
