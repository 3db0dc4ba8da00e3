import { strict as assert } from 'node:assert'
import { hash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openStore as openLedgerStore } from '../../ledger/store/store.ts'
import { checkData } from '../../node/examine-data.ts'
import { encodeValue } from '../../sandbox/index.ts'
import { openStore } from '../../scheduler/store/job-store.ts'
import { createRandom } from '../simulation/random.ts'
import { Processes, type Program } from './processes.ts'
import { type Reached, TracedDisk, traced } from './traced-disk.ts'
import { checkCredits } from './work.ts'

/** Nodes that are cut off at random moments, by command: POWER_CUTS=100 POWER_SEED=1 npx mocha test/integration/power-cut.spec.ts */
const CUTS = Number(process.env.POWER_CUTS ?? 0)
const CLIENT = fileURLToPath(new URL('./power-client.ts', import.meta.url))

interface Told {
  event: 'ready' | 'job' | 'result' | 'settled'
  job: string
  digest: string
  paid: string
  total: number
  shares: { units: number }[]
}

// a spec and the results of its slices are files, then all is in rows
const numbers = Array.from({ length: 20_000 }, (_, i) => i * 1.5)
const SPECS = [
  { type: 'map', items: [numbers, numbers, numbers], fn: 'list => list.map(x => x + 0.25)', verify: 'none' },
  { type: 'range_reduce', start: 1, end: 1000, operation: 'sum', verify: 'none' }
]
const RESULTS = [Array(3).fill(numbers.map(x => x + 0.25)), 500_500].map(value =>
  hash('sha256', encodeValue(value))
)

const random = createRandom(Number(process.env.POWER_SEED ?? 7))
/** seed, worker, and each client */
let accounts = 2
/** what reached the disk beside what was synced */
const REACHED: Record<string, Reached> = {
  nothing: () => 0,
  'names without bytes': (waiting, isFolder) => (isFolder ? waiting : 0),
  'bytes without names': (waiting, isFolder) => (isFolder ? 0 : waiting),
  'some of it': waiting => Math.floor(random() * (waiting + 1))
}

describe('integration: the power is cut', function () {
  this.timeout(600_000 + CUTS * 60_000)
  let net: Processes
  before(async () => {
    net = new Processes()
    await net.seed()
    await net.worker()
  })
  after(() => net.stop())

  async function run(data: string, what: (object | string)[], trace?: string): Promise<Program> {
    const specs = join(await net.folder(), 'specs.json')
    await writeFile(specs, JSON.stringify(what))
    return net.program(CLIENT, [data, net.seedAddress, specs], trace == null ? [] : traced(trace))
  }

  /** What of the jobs that somebody was told of is left in a data folder. */
  async function checkLeft(data: string, told: readonly Told[], at: string): Promise<void> {
    await checkData(data)
    const store = openStore(join(data, 'jobs.sqlite'))
    const ledger = openLedgerStore(join(data, 'ledger'))
    try {
      for (const { event, job, paid } of told.filter(each => each.event !== 'ready')) {
        const index = jobsOf(told).indexOf(job)
        const result = store.result(job)
        assert.ok(store.specs(job).length === 1, at)
        // what was told and is not settled may be lost, and is calculated again
        if (event === 'settled' || result != null)
          assert.equal(result && hash('sha256', result), RESULTS[index], at)
        if (event === 'settled' && paid !== '0') assert.ok(ledger.job(job)?.settled != null, at)
      }
    } finally {
      store.close()
      ledger.close()
    }
  }

  /** A node goes on from a folder with the jobs that were told of, and does the others. */
  async function checkGoesOn(data: string, told: readonly Told[]): Promise<void> {
    const known = jobsOf(told)
    const client = await run(data, [...known, ...SPECS.slice(known.length)])
    assert.equal(await client.ended(), 0, client.stderr)
    const results = (client.events as unknown as Told[]).filter(({ event }) => event === 'result')
    assert.deepEqual(
      results.map(({ digest }) => digest),
      RESULTS
    )
  }

  it('what was told is on the disk, and a node goes on from there', async () => {
    const trace = join(await net.folder(), 'trace')
    const root = await net.folder()
    const client = await run(join(root, 'node'), SPECS, trace)
    assert.equal(await client.ended(), 0, client.stderr)

    const disk = new TracedDisk(root)
    const told: Told[] = []
    let left = ''
    for await (const event of follow(disk, trace)) {
      told.push(event)
      for (const [name, reached] of Object.entries(REACHED)) {
        left = await net.folder()
        await disk.save(left, reached)
        await checkLeft(join(left, 'node'), told, `cut after ${JSON.stringify(event)}, ${name}`)
      }
    }
    assert.equal(told.length, 1 + 3 * SPECS.length)
    assert.deepEqual(await filesOf(await saved(disk, () => Number.POSITIVE_INFINITY)), await filesOf(root))
    await checkGoesOn(join(left, 'node'), told)
    await checkCredits(net, ++accounts)
  })

  for (let cut = 0; cut < CUTS; cut++)
    it(`cut ${cut}: a node that is killed at any moment goes on from what was synced`, async () => {
      const trace = join(await net.folder(), 'trace')
      const root = await net.folder()
      const client = await run(join(root, 'node'), SPECS, trace)
      const { pid } = await client.event<{ pid: number }>('ready', ({ event }) => event === 'ready')
      const after = Math.floor(random() * 3 * SPECS.length)
      await client.event('so much is told', () => client.events.length > after)
      await delay(random() * 20)
      process.kill(pid, 'SIGKILL')
      await client.ended()
      const disk = new TracedDisk(root)
      const told: Told[] = []
      for await (const event of follow(disk, trace)) told.push(event)
      const data = join(await saved(disk, REACHED['some of it']!), 'node')
      await checkLeft(data, told, `after ${JSON.stringify(told.at(-1))}`)
      await checkGoesOn(data, told)
      await checkCredits(net, ++accounts)
    })

  async function saved(disk: TracedDisk, reached: Reached): Promise<string> {
    const folder = await net.folder()
    await disk.save(folder, reached)
    return folder
  }
})

const jobsOf = (told: readonly Told[]): string[] => [...new Set(told.flatMap(({ job }) => job ?? []))]

async function* follow(disk: TracedDisk, trace: string): AsyncGenerator<Told> {
  for await (const line of disk.follow(trace)) if (line.startsWith('{"event"')) yield JSON.parse(line)
}

/** What the files below a folder hold, by their paths. */
async function filesOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const each = files.sort().map(async file => [relative(folder, file), hash('sha256', await readFile(file))])
  return Object.fromEntries(await Promise.all(each))
}
