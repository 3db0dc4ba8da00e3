import { deepEqual, equal, ok } from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { openDatabase } from '../../../services/host/database.ts'
import { MIGRATIONS } from '../../../services/watcher/schema.ts'
import { createRandom } from '../../simulation/random.ts'

/** By command: ARTEL_WATCH_KILLS=1000 npx mocha test/services/watcher/kills.spec.ts */
const KILLS = Number(process.env.ARTEL_WATCH_KILLS ?? 5)
const TELLER = join(import.meta.dirname, 'teller.ts')
/** Of one process, from its first look on. */
const LIVES_MS = 40

describe(`watcher: kill −9 at ${KILLS} random points`, function () {
  this.timeout(600_000 + KILLS * 20_000)
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-watch-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('each event is in exactly one message of a subscription', async () => {
    const random = createRandom(7)
    const args = ['--no-warnings', TELLER, folder, String(Date.now())]
    const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') }
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
      const ended = once(child, 'exit')
      try {
        await Promise.race([once(child.stdout, 'data'), ended])
        await delay(random() * LIVES_MS)
      } finally {
        child.kill('SIGKILL')
        await ended
      }
      equal(child.signalCode, 'SIGKILL', 'it ended by itself')
    }
    await promisify(execFile)(process.execPath, [...args, 'last'], { env })

    const told: Record<string, Map<string, string>> = { now: new Map(), daily: new Map() }
    for (const line of (await readFile(join(folder, 'told.txt'), 'utf8')).trim().split('\n')) {
      const [subscription, name, numbers] = line.split(' ') as [string, string, string]
      const before = told[subscription]!.get(name)
      // what comes again is the same
      equal(numbers, before ?? numbers)
      told[subscription]!.set(name, numbers)
    }
    const db = openDatabase(join(folder, 'watch.sqlite'), MIGRATIONS)
    const [{ last }] = db.prepare('SELECT max(number) AS last FROM event').all() as [{ last: number }]
    db.close()
    ok(last > KILLS, `${last} events`)
    const all = Array.from({ length: last }, (_, i) => i + 1)
    for (const messages of Object.values(told)) {
      const numbers = [...messages.values()].flatMap(text => text.split(',').map(Number))
      deepEqual(
        numbers.sort((a, b) => a - b),
        all
      )
    }
  })
})
