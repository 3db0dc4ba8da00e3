import { strict as assert } from 'node:assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../bootstrap/nodes.ts'
import { type Daemon, Processes } from '../node/processes.ts'

// About 100 µs per item: it is still running when its submitter dies.
const JOB = {
  type: 'range_reduce',
  start: 1,
  end: 20_000,
  map: 'x => { let s = 0; for (let i = 0; i < 15000; i++) s = (s * 31 + i) % 1009; return x + s - s }',
  verify: 'none'
}
const SUM = (20_000 * 20_001) / 2

describe('integration: delegation over processes', function () {
  this.timeout(600_000)
  let processes: Processes
  /** flags by which a node knows the seed */
  let known: string[]
  let delegate: string
  let client: Daemon
  let data: string[]
  before(async () => {
    processes = await Processes.create()
    data = ['--data', processes.path('client')]
    const seed = await processes.start('seed', 'seed', ['--compute', 'false']).ready
    known = ['--seed', seed.addresses[0]!, '--trusted-peer', '*']
    const lends = ['--slots', '1', '--delegate-for', '*']
    const started = processes.start('start', 'delegate', [...known, ...lends])
    client = startClient()
    await client.ready
    delegate = (await started.ready).id
    await until(async () => {
      const { stdout } = await processes.run(['peers', '--json', ...data])
      return JSON.parse(stdout).some(({ peer }: { peer: string }) => peer === delegate)
    }, 'the client has met the delegate')
    await writeFile(join(processes.folder, 'job.json'), JSON.stringify(JOB))
  })
  after(() => processes.stop())

  /** It lends nothing. */
  const startClient = (): Daemon => processes.start('start', 'client', [...known, '--compute', 'false'])

  it('gives the result to who waited for it, and once more to who asks', async () => {
    const { stdout, stderr, code } = await processes.run(['run', 'job.json', ...data, '--delegate', delegate])
    assert.deepEqual({ code, result: stdout.trim() }, { code: 0, result: String(SUM) }, stderr)
    const [, id] = /^([0-9a-f]{16}): /m.exec(stderr)!
    const again = await processes.run(['result', id!, ...data])
    assert.deepEqual([again.code, again.stdout.trim()], [0, String(SUM)], again.stderr)
  })

  it('goes on when its submitter is killed, which fetches the result after its next start', async () => {
    const run = processes.spawn(['run', 'job.json', ...data, '--delegate', delegate])
    // the submitter knows the id as soon as the delegate has the job
    const id = await new Promise<string>((resolve, reject) => {
      const look = (): void => {
        const found = /^([0-9a-f]{16}): /m.exec(run.stderr())
        if (found != null) resolve(found[1]!)
      }
      run.process.stderr!.on('data', look)
      run.process.once('close', () => reject(new Error(`run ended: ${run.stderr()}`)))
    })
    await client.end('SIGKILL')
    await run.end('SIGKILL')

    client = startClient()
    await client.ready
    const { stdout, stderr, code } = await processes.run(['result', id, ...data])
    assert.deepEqual({ code, result: stdout.trim() }, { code: 0, result: String(SUM) }, stderr)
    const report = await processes.run(['job', id, '--json', '--data', processes.path('delegate')])
    assert.equal(JSON.parse(report.stdout).state, 'completed')
    // to the owner of the delegate it is a job like others, to a third node it does not exist
    const other = await processes.run(['job', id, '--data', processes.path('seed')])
    assert.equal(other.code, 2)
  })
})
