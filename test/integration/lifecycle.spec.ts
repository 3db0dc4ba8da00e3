import { strict as assert } from 'node:assert'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { descendants, living, Processes, type Program, type Started, until } from './processes.ts'
import { accepted } from './work.ts'

const ENDLESS = {
  type: 'map',
  items: Array.from({ length: 2000 }, (_, i) => i),
  fn: 'x => { for (let i = 0; i < 3e7; i++) x = (x * 31 + i) % 1009; return x }',
  verify: 'none'
}

/** Ctrl-C: the process ends by itself, in time, and leaves nothing behind. */
async function interrupt(program: Program, code: number): Promise<void> {
  const children = await descendants(program.pid)
  program.signal('SIGINT')
  assert.equal(await program.ended(), code, program.stderr)
  await until('no child is left', async () => (await living(children)).length === 0)
}

describe('integration: Ctrl-C and kill −9', function () {
  this.timeout(600_000)
  let net: Processes
  let seed: Started
  before(async () => {
    net = new Processes()
    seed = await net.seed()
  })
  afterEach(() => net.endClients())
  after(() => net.stop())

  it('`artel run`: Ctrl-C cancels the job and exits with 130', async () => {
    await net.workers(1)
    const folder = await net.folder()
    const file = join(folder, 'task.json')
    await writeFile(file, JSON.stringify(ENDLESS))
    const run = net.run([file, '--data', folder])
    // a process of the worker tells nothing: it starts some for later, too
    await until('an answer of the worker', () => {
      try {
        return accepted(folder).length > 0
      } catch {
        // there is no database yet, or no table in it
        return false
      }
    })
    await interrupt(run, 130)
    assert.match(run.stderr, /interrupted/)
  })

  it('kill −9 of a node takes its sandbox children with it', async () => {
    const [worker] = (await net.workers(1)) as [Started]
    const client = net.client(await net.folder(), ENDLESS)
    await client.event('progress', event => event.event === 'progress' && (event.done as number) > 0)
    const children = [...(await descendants(worker.program.pid)), ...(await descendants(client.pid))]
    assert.ok(children.length > 0)
    await worker.program.kill()
    await client.kill()
    await until('the children are gone', async () => (await living(children)).length === 0)

    const again = await net.worker(worker.data)
    assert.equal(again.ready.id, worker.ready.id)
  })

  it('seed, idle worker, busy worker and client stop cleanly and start again on their folders', async () => {
    const [idle] = (await net.workers(1)) as [Started]
    await interrupt(idle.program, 0)

    const busy = await net.worker(idle.data)
    assert.equal(busy.ready.id, idle.ready.id, 'the same identity after the restart')
    const data = await net.folder()
    const client = net.client(data, ENDLESS)
    const { job } = await client.event<{ job: string }>('the job', event => event.event === 'job')
    await client.event('progress', event => event.event === 'progress' && (event.done as number) > 0)
    const children = await descendants(busy.program.pid)
    assert.ok(children.length > 0)
    await interrupt(busy.program, 0)
    await interrupt(client, 0)

    // what was interrupted goes on
    const again = await net.worker(idle.data)
    const resumed = net.client(data, job)
    const { done } = await resumed.event<{ done: number }>('the job', event => event.event === 'job')
    assert.ok(done > 0, 'what was accepted is kept')
    await resumed.event('progress', event => event.event === 'progress' && (event.done as number) > done)
    await interrupt(resumed, 0)
    await interrupt(again.program, 0)
    await interrupt(seed.program, 0)

    const restarted = await net.seed(seed.data)
    assert.equal(restarted.ready.id, seed.ready.id)
  })
})
