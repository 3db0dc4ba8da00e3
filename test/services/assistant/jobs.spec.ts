import { deepEqual, equal, ok } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { nextUser } from '../../../services/assistant/core/turns.ts'
import { createJobs } from '../../../services/assistant/jobs.ts'
import { MIGRATIONS } from '../../../services/assistant/schema.ts'
import { createJobStore } from '../../../services/assistant/store/jobs.ts'
import { until } from '../../bootstrap/nodes.ts'

describe('assistant: jobs', function () {
  this.timeout(600_000)
  let folder: string
  let db: DatabaseSync
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-jobs-'))
    db = new DatabaseSync(':memory:')
    for (const script of MIGRATIONS) db.exec(script)
  })
  afterEach(async () => {
    db?.close()
    await rm(folder, { recursive: true, force: true })
  })

  /** Draws when it is told to. */
  function open() {
    const drawn: string[] = []
    const ends: (() => void)[] = []
    const stopping = new AbortController()
    let atOnce = 0
    let most = 0
    const jobs = createJobs({
      store: createJobStore(db, folder, () => Buffer.alloc(32, 7)),
      async draw({ user, body }, signal) {
        drawn.push(`${user} ${body.prompt}`)
        most = Math.max(most, ++atOnce)
        try {
          await new Promise<void>((resolve, reject) => {
            ends.push(resolve)
            signal.addEventListener('abort', () => reject(signal.reason))
          })
        } finally {
          atOnce--
        }
        return { data: [`image of ${body.prompt}`] }
      },
      now: () => 1000,
      onError: error => equal(error, undefined)
    })
    jobs.start(stopping.signal)
    const add = (user: string, prompt: string) => jobs.add({ user, body: { prompt }, bytes: 1 }).id
    return { jobs, add, drawn, stop: () => stopping.abort(), most: () => most, end: () => ends.shift()?.() }
  }

  it('run two at once, and users take turns', async () => {
    const { add, drawn, end, most, stop } = open()
    const prompts = ['1', '2', '3', '4']
    for (const prompt of prompts) add('ann', prompt)
    add('bob', '1')
    add('kim', '1')
    for (let count = 3; count <= 6; count++) {
      end()
      await until(() => drawn.length === count, `${count} are begun`)
    }
    deepEqual(drawn, ['ann 1', 'ann 2', 'bob 1', 'kim 1', 'ann 3', 'ann 4'])
    equal(most(), 2)
    stop()
  })

  it('are begun anew where the node ended in between, and are done once', async () => {
    const first = open()
    const id = first.add('ann', 'cat')
    equal((await first.jobs.get('ann', id)).job.state, 'running')
    first.stop()
    const second = open()
    await until(() => second.drawn.length === 1, 'it is begun anew')
    second.end()
    await until(async () => (await second.jobs.get('ann', id)).job.state === 'done', 'it is done')
    deepEqual((await second.jobs.get('ann', id)).answer, { data: ['image of cat'] })
    second.stop()
    equal(open().drawn.length, 0)
  })

  it('that are ended or too old leave nothing behind', async () => {
    const { jobs, add, end, stop } = open()
    const running = add('ann', '1')
    const done = add('ann', '2')
    await jobs.remove('ann', running)
    end()
    end()
    await until(async () => (await jobs.get('ann', done)).job.state === 'done', 'the other is done')
    await jobs.expire(1000)
    ok((await jobs.get('ann', done)).answer != null)
    await jobs.expire(1001)
    equal(db.prepare('SELECT count(*) AS count FROM jobs').get()!.count, 0)
    stop()
  })

  it('of whom was never served come first', () => {
    const waiting = [
      { user: 'a', created: 1 },
      { user: 'b', created: 3 },
      { user: 'c', created: 2 }
    ]
    equal(nextUser(waiting, new Map([['a', 1]])), 'c')
    equal(
      nextUser(
        waiting,
        new Map([
          ['a', 2],
          ['b', 1],
          ['c', 3]
        ])
      ),
      'b'
    )
    equal(nextUser([], new Map()), undefined)
  })
})
