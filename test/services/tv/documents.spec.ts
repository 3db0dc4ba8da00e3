import { deepEqual, match } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { createDocuments } from '../../../services/tv/documents/documents.ts'
import { MIGRATIONS } from '../../../services/tv/schema.ts'

const card = (name: string, metric: string) => ({
  name,
  by: 'me',
  on: '*',
  targets: [{ agent: 'me', tv: 'tv-1' }],
  fields: [{ label: 'Volume', metric }]
})

describe('tv: documents', () => {
  it('cost themselves where what is kept of one is damaged, which is said until it is made anew', async () => {
    using db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    const troubles = new Map<string, string>()
    const open = () =>
      createDocuments({
        db,
        self: 'me',
        sign: () => new Uint8Array(64),
        isSigned: () => true,
        may: () => true,
        give: async () => undefined,
        onTaken() {},
        trouble: (what, why) => void (why == null ? troubles.delete(what) : troubles.set(what, why))
      })
    const first = open()
    for (const name of ['one', 'two', 'three']) await first.issue('card', card(name, 'volume'))
    db.exec(`UPDATE document SET bytes = x'7b' WHERE name = 'one'`)
    db.exec(`UPDATE document SET bytes = CAST('{"name":"two"}' AS BLOB) WHERE name = 'two'`)
    const again = open()
    deepEqual(
      again.own('card').map(({ name }) => name),
      ['three']
    )
    deepEqual([...troubles.keys()].sort(), ['kept card one', 'kept card two'])
    match(troubles.get('kept card one')!, /damaged/)
    const { version } = await again.issue('card', card('one', 'power'))
    deepEqual([version, [...troubles.keys()]], [2, ['kept card two']])
  })
})
