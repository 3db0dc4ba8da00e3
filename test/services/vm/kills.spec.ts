import assert from 'node:assert/strict'
import { startPostgres } from '../../../node/demo/vm-postgres.ts'
import { openPostgres } from '../../../services/vm/store/postgres.ts'
import { checkKills } from './kills.ts'

// `npm run simulate -- vm --seeds 500` kills as often as one likes
const KILLS = 10

describe('a host of machines that is killed again and again', function () {
  this.timeout(600_000)

  it('finds database, folders and processes in agreement, on the embedded database', async () => {
    const { kills, adopted, problems } = await checkKills(KILLS, 1)
    assert.deepEqual(problems, [])
    assert.equal(kills, KILLS)
    assert.ok(adopted > 0, 'something ran on')
  })

  it('and on PostgreSQL', async () => {
    const postgres = await startPostgres()
    try {
      const { environment, settings } = postgres
      const { problems } = await checkKills(KILLS, 101, { environment, open: () => openPostgres(settings) })
      assert.deepEqual(problems, [])
    } finally {
      await postgres.stop()
    }
  })
})
