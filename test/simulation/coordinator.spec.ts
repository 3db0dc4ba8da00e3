import { simulate } from './coordinator.ts'

describe('simulation: coordinator', () => {
  it('ends every job and never breaks a rule, over 250 seeds of slow, silent, flapping and lying workers', () => {
    for (let seed = 1; seed <= 250; seed++) simulate(seed)
  })
})
