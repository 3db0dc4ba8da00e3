import { deepEqual, equal, rejects } from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { declaration } from '../../../services/sas/declaration.ts'
import { createLists, type Lists } from '../../../services/sas/lists/create-lists.ts'
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

  describe('of files', () => {
    const { signal } = new AbortController()
    let folder: string
    let db: DatabaseSync
    let lists: Lists
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'artel-sas-set-'))
      db = new DatabaseSync(':memory:')
      db.exec(MIGRATIONS.join(';'))
      const now = () => 0
      lists = createLists({ folder, db, mayControl: () => true, now, uptime: now, onState() {} })
      await mkdir(join(folder, 'sets'))
      const one = { command: '01', poll_type: 'S' }
      for (const [set, polls] of Object.entries({
        one: [one],
        all: [{ command: '01', poll_type: 'G' }, one]
      }))
        await writeFile(join(folder, `sets/${set}.json`), JSON.stringify(polls), { mode: 0o600 })
    })
    after(async () => {
      db.close()
      await rm(folder, { recursive: true, force: true })
    })

    it('tells no other machine of the line', async () => {
      const sent: string[] = []
      const { runSet } = lists.commands(1, async message => {
        sent.push(Buffer.from(message).toString('hex', 0, 2))
        return { is: 'acknowledged' }
      })
      const run = async (set: string) => runSet!.run({ set }, signal, {} as never)
      await rejects(run('all'), { name: 'PollRefusedError' })
      await run('one')
      deepEqual(sent, ['0101'])
    })

    it('tells each answer as it comes, and of how many, what is for all of a line once', async () => {
      const told: string[] = []
      const machines = [1, 2].map(address => ({
        state: { line: 'tty', address, serial: '', isUp: true, exceptions: 0 },
        send: async () => ({ is: 'acknowledged' })
      }))
      await lists.run('all', machines as never, signal, async ({ machine, item, done, total }) => {
        told.push(`${done} of ${total}: ${machine} ${item.is}`)
      })
      deepEqual(told, ['1 of 3: tty#1 told', '2 of 3: tty#2 acknowledged', '3 of 3: tty#1 acknowledged'])
    })
  })
})
