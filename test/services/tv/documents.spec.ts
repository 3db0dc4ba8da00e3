import { deepEqual, equal, match } from 'node:assert/strict'
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
        give: async () => ({}),
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

  it('of a node that has lost its database go beyond what others have of it', async () => {
    const troubles: string[] = []
    const open = (self: string, give: Parameters<typeof createDocuments>[0]['give'] = async () => ({})) => {
      const db = new DatabaseSync(':memory:')
      for (const sql of MIGRATIONS) db.exec(sql)
      return createDocuments({
        db,
        self,
        sign: () => new Uint8Array(64),
        isSigned: () => true,
        may: () => true,
        give,
        onTaken() {},
        trouble: (what, why) => void (why != null && troubles.push(`${what}: ${why}`))
      })
    }
    const { signal } = new AbortController()
    const agent = open('agent')
    const issuer = () => open('me', (_, document) => agent.accept(document))
    const about = (metric: string) => ({
      ...card('one', metric),
      targets: [{ agent: 'agent', tv: 'tv-1' }]
    })
    const there = () => agent.live('card', 'tv-1').map(({ version, fields }) => [version, fields[0]?.metric])
    const first = issuer()
    for (const metric of ['a', 'b', 'c']) await first.issue('card', about(metric))
    await first.bring(signal)
    deepEqual(there(), [[3, 'c']])
    // the same bytes again are what is there
    await first.bring(signal)

    const again = issuer()
    await again.issue('card', about('d'))
    await again.bring(signal)
    match(again.deliveries('card', 'one')[0]!.why!, /version 3 of it is here/)
    await again.bring(signal)
    deepEqual(there(), [[4, 'd']])
    deepEqual({ ...again.deliveries('card', 'one')[0] }, { agent: 'agent', version: 4, why: null })
    deepEqual(troubles, [])
  })

  it('go beyond nothing that their issuer has not signed, whatever another node says', async () => {
    const db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    const bytes = Buffer.from(JSON.stringify({ ...card('one', 'a'), version: 1e9 }))
    const documents = createDocuments({
      db,
      self: 'me',
      sign: () => new Uint8Array(64).fill(1),
      isSigned: (_, __, ___, signature) => signature[0] === 1,
      may: () => true,
      give: async () => ({ why: 'mine counts more', newer: { bytes, signature: new Uint8Array(64) } }),
      onTaken() {},
      trouble() {}
    })
    await documents.issue('card', { ...card('one', 'b'), targets: [{ agent: 'agent', tv: 'tv-1' }] })
    await documents.bring(new AbortController().signal)
    match(documents.deliveries('card', 'one')[0]!.why!, /has not signed/)
    equal(documents.find('card', 'me', 'one')!.version, 1)
  })
})
