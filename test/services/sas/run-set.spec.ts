import { deepEqual, rejects } from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createLists } from '../../../services/sas/lists/create-lists.ts'
import { MIGRATIONS } from '../../../services/sas/migrations.ts'

describe('sas: a set at one machine', () => {
  it('tells no other machine of the line', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-sas-set-'))
    using db = new DatabaseSync(':memory:')
    db.exec(MIGRATIONS.join(';'))
    const now = () => 0
    const lists = createLists({ folder, db, mayControl: () => true, now, uptime: now, onState() {} })
    const sent: string[] = []
    const { runSet } = lists.commands(1, async message => {
      sent.push(Buffer.from(message).toString('hex', 0, 2))
      return { is: 'acknowledged' }
    })
    const run = async (set: string) => runSet!.run({ set }, new AbortController().signal, {} as never)
    try {
      await mkdir(join(folder, 'sets'))
      for (const [set, poll_type] of Object.entries({ one: 'S', all: 'G' }))
        await writeFile(join(folder, `sets/${set}.json`), JSON.stringify([{ command: '01', poll_type }]), {
          mode: 0o600
        })
      await rejects(run('all'), { name: 'PollRefusedError' })
      await run('one')
      deepEqual(sent, ['0101'])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
