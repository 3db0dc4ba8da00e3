import assert from 'node:assert/strict'
import { checkSlots } from './messenger.ts'

describe('messenger: slots that are written once, seeded', () => {
  // `npm run simulate -- messenger` runs 10,000 schedules
  it('have one value, that somebody proposed, whatever is lost, doubled or late and whoever crashes', () => {
    const seen = [1, 2, 3].map(seed => checkSlots(seed, 200))
    assert.deepEqual(
      seen.map(({ problem }) => problem),
      ['', '', '']
    )
    assert.ok(
      seen.every(({ crashes, lost, contested }) => crashes > 100 && lost > 100 && contested > 50),
      'something happened'
    )
  })
})
