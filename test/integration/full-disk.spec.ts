import { strict as assert } from 'node:assert'
import { runJob } from '../../node/cli/run-job.ts'
import { connectControl } from '../../node/index.ts'
import { Processes } from './processes.ts'
import { SmallDisk } from './small-disk.ts'
import { checkCredits, checkRight, end, SUM, work } from './work.ts'

// A new node takes a few MiB of it.
const DISK_MIB = 64
const GRANT = 100_000_000n

/** Runs a job on the node whose data folder is seen at `folder`. */
async function run(folder: string, spec: object): Promise<{ result: unknown; paid: bigint }> {
  const control = await connectControl(folder)
  try {
    const { result, report } = await runJob(control, spec, { signal: AbortSignal.timeout(240_000) })
    return { result, paid: report.paid }
  } finally {
    control.close()
  }
}

describe('integration: a full disk', function () {
  this.timeout(600_000)
  let net: Processes
  let disk: SmallDisk
  let folder: string
  beforeEach(async () => {
    net = new Processes()
    await net.seed()
    folder = await net.folder()
    disk = await SmallDisk.create(folder, DISK_MIB)
  })
  afterEach(async () => {
    await net.stop()
    await disk.stop()
  })

  it('of the coordinator: the job fails clearly and costs nothing, others are refused, and with room they run', async () => {
    const worker = await net.worker()
    const inside = { inside: disk.inside, seenAs: disk.path }
    const client = net.client(folder, work(), { init: { pauses: [{ share: 0.1 }] }, ...inside })
    await client.whilePaused(() => disk.fill())
    const { error, message, report } = await end(client)
    assert.equal(error, 'JobFailedError')
    assert.match(message!, /cannot write .* make room/)
    assert.deepEqual([report.state, report.paid], ['failed', '0'])
    await assert.rejects(run(disk.path, work('none', 100)), { name: 'StorageError', message: /make room/ })

    await disk.makeRoom()
    const { result, paid } = await run(disk.path, work('none', 2000))
    assert.equal(result, (2000 * 2001) / 2)
    const balances = await checkCredits(net, 3)
    assert.equal(balances.get(worker.ready.id), GRANT + paid)

    // all of it is on disk
    await client.kill()
    const { job } = report
    const restarted = net.client(folder, job, inside)
    assert.equal((await end(restarted)).error, 'JobFailedError')
    assert.deepEqual(await checkCredits(net, 3), balances)
  })

  it('of a worker: it is paid for what it did, and with room it works as before', async () => {
    const options = { inside: disk.inside, seenAs: disk.path }
    const [full, other] = await Promise.all([net.worker(folder, options), net.worker()])
    const init = { workers: 2, pauses: [{ share: 0.1, workers: 2 }] }
    const client = net.client(await net.folder(), work(), { init })
    await client.whilePaused(() => disk.fill())
    const ended = await end(client)
    checkRight(ended, SUM)
    const paid = (id: string, { report }: typeof ended): bigint =>
      BigInt(report.shares.find(({ worker }) => worker === id)?.paid ?? 0)

    await disk.makeRoom()
    await other.program.kill()
    const again = net.client(await net.folder(), work('none', 5000))
    const second = await end(again)
    checkRight(second, (5000 * 5001) / 2)
    assert.ok(paid(full.ready.id, second) > 0n, 'it works again')
    const balances = await checkCredits(net, 5)
    assert.equal(
      balances.get(full.ready.id),
      GRANT + paid(full.ready.id, ended) + paid(full.ready.id, second)
    )
    await full.program.kill()
    await net.worker(folder, options)
    assert.deepEqual(await checkCredits(net, 5), balances)
  })
})
