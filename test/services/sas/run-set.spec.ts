import { deepEqual, equal, rejects } from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { declaration } from '../../../services/sas/declaration.ts'
import { createLists } from '../../../services/sas/lists/create-lists.ts'
import { listedPoll, messageOf } from '../../../services/sas/lists/listed-poll.ts'
import { saidOf } from '../../../services/sas/lists/said.ts'
import { MIGRATIONS } from '../../../services/sas/migrations.ts'

describe('sas: a set at one machine', () => {
  it('has told all of a line what none answers', () => {
    const message = messageOf(1, listedPoll.parse({ command: '01', poll_type: 'G' }))
    deepEqual(saidOf(1, message, { is: 'silent' }), { poll: '01', is: 'told' })
    const items = [{ machine: '/dev/line#1', items: [{ poll: '01', is: 'told' as const }] }]
    const { command } = declaration.operations.run
    equal(typeof command === 'object' ? command.exit?.({ items }) : undefined, 0)
  })

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
