import { strict as assert } from 'node:assert'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from '../../node/sdk/index.ts'
import { encodeValue } from '../../sandbox/index.ts'
import { type Daemon, Processes } from './processes.ts'

describe('node: SDK, and a node that goes away', () => {
  let processes: Processes
  before(async () => {
    processes = await Processes.create()
  })
  after(() => processes.stop())

  const start = async (...args: string[]): Promise<Daemon> => {
    const daemon = processes.start('seed', 'node', [
      '--gateway-enabled',
      'true',
      '--gateway-port',
      '0',
      ...args
    ])
    await daemon.ready
    return daemon
  }

  it('loses and doubles no job over kill −9 and restart, on another port', async () => {
    const first = await start()
    await using artel = await connect({ data: processes.path('node'), patienceMs: 240_000 })
    const running = artel.rangeReduce({ start: 1, end: 3e8, map: x => x % 3 })
    const id = await running.id
    const states: string[] = []
    running.on('end', ({ state }) => states.push(state))
    await first.end('SIGKILL')
    // nobody is there to take it yet
    const submitted = artel.map([1, 2, 3], x => x + 1)
    const list = submitted.then(value => value)
    await start()
    assert.deepEqual(await list, [2, 3, 4])
    assert.equal(await running, 3e8)
    assert.deepEqual(states, ['completed'])
    const jobs: string[] = []
    for await (const { job } of artel.jobs()) jobs.push(job)
    assert.equal(jobs.length, 2)
    assert.ok(jobs.includes(id))
    assert.equal(await artel.job<number>(id), 3e8)
  })

  it('says that no node is there', async () => {
    await assert.rejects(connect({ data: processes.path('nobody') }), {
      name: 'ControlError',
      message: /artel start/
    })
    await using artel = await connect({ url: 'http://127.0.0.1:1', patienceMs: 200 })
    await assert.rejects(artel.balance(), { name: 'ControlError', message: /127\.0\.0\.1:1/ })
    await assert.rejects(artel.rangeReduce({ start: 1, end: 2 }).result(), { name: 'ControlError' })
  })
})

describe('node: SDK, tries', () => {
  const servers: (() => Promise<void>)[] = []
  after(() => Promise.all(servers.map(stop => stop())))

  /** A server that answers request n with the nth of `answers`, the last one again and again. */
  async function serve(...answers: ((req: IncomingMessage, res: ServerResponse) => void)[]) {
    const seen: { method: string; key?: string; authorization?: string }[] = []
    const server = createServer((req, res) => {
      const { authorization, 'idempotency-key': key } = req.headers
      const n = seen.push({ method: req.method!, key: key as string | undefined, authorization })
      req.resume().on('end', () => answers[Math.min(n, answers.length) - 1]!(req, res))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    servers.push(async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    })
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
  }

  const report = {
    job: 'j1',
    type: 'map',
    state: 'completed',
    submitted: 1,
    finished: 2,
    done: 1,
    total: 1,
    retries: 0,
    bound: '1',
    paid: '0',
    shares: []
  }
  const done = (_: IncomingMessage, res: ServerResponse): void => {
    res.setHeader('content-type', 'application/vnd.artel.value')
    res.end(encodeValue({ job: report, result: [7n] }))
  }
  const problem =
    (status: number, title: string, headers: Record<string, string> = {}) =>
    (_: IncomingMessage, res: ServerResponse): void => {
      res.writeHead(status, { 'content-type': 'application/problem+json', ...headers })
      res.end(JSON.stringify({ type: `urn:artel:error:${title}`, title, status, detail: 'why' }))
    }

  it('sends a submission again under the same key: connection cut, half an answer, not now', async () => {
    const { url, seen } = await serve(
      req => req.socket.destroy(),
      (_, res) => {
        res.writeHead(200, { 'content-type': 'application/vnd.artel.value', 'content-length': 100 })
        res.write('half')
        res.destroy()
      },
      problem(503, 'LedgerStoppedError'),
      done
    )
    await using artel = await connect({ url, token: 'secret' })
    assert.deepEqual(await artel.map([1], 'x'), [7n])
    assert.equal(seen.length, 4)
    assert.ok(seen[0]!.key != null)
    assert.equal(new Set(seen.map(({ key }) => key)).size, 1)
    assert.ok(seen.every(({ authorization }) => authorization === 'Bearer secret'))
    await artel.map([1], 'x')
    assert.notEqual(seen[4]!.key, seen[0]!.key)
  })

  it('does not try again what was refused, nor what could happen twice', async () => {
    const refused = await serve(problem(402, 'InsufficientCreditsError'))
    await using one = await connect({ url: refused.url })
    await assert.rejects(async () => one.map([1], 'x'), {
      name: 'InsufficientCreditsError',
      message: 'why',
      status: 402
    })
    assert.equal(refused.seen.length, 1)
    const finals: [number, string][] = [
      [504, 'JobExpiredError'],
      [503, 'DelegateError'],
      [503, 'WallMissingError']
    ]
    for (const [status, name] of finals) {
      const final = await serve(problem(status, name))
      await using three = await connect({ url: final.url })
      await assert.rejects(async () => three.map([1], 'x'), { name, status })
      assert.equal(final.seen.length, 1)
    }
    const cut = await serve(req => req.socket.destroy())
    await using two = await connect({ url: cut.url })
    await assert.rejects(two.transfer('somebody', 1n), { name: 'ControlError' })
    assert.equal(cut.seen.length, 1)
  })

  it('waits for credits that its other jobs reserve, where the job names no price', async () => {
    const poor = problem(402, 'InsufficientCreditsError')
    const { url, seen } = await serve(done, poor, poor, done, poor)
    await using artel = await connect({ url })
    const spec = { type: 'map', items: [1], fn: 'x' } as const
    assert.deepEqual(await artel.submit(spec), [7n])
    assert.deepEqual(await artel.submit(spec), [7n])
    assert.deepEqual([seen.length, new Set(seen.map(({ key }) => key)).size], [4, 2])
    await assert.rejects(artel.submit({ ...spec, maxPrice: 1 }).result(), {
      name: 'InsufficientCreditsError'
    })
    assert.equal(seen.length, 5)
  })

  it('waits for them also where the node has answered none of those asked for at once', async () => {
    const again = Promise.withResolvers<void>()
    const { url, seen } = await serve(
      (req, res) => void again.promise.then(() => done(req, res)),
      problem(402, 'InsufficientCreditsError'),
      (req, res) => {
        done(req, res)
        again.resolve()
      }
    )
    await using artel = await connect({ url })
    const spec = { type: 'map', items: [1], fn: 'x' } as const
    assert.deepEqual(await Promise.all([artel.submit(spec), artel.submit(spec)]), [[7n], [7n]])
    assert.equal(seen.length, 3)
  })

  it('waits for none where the node takes nothing, however many it asks for at once', async () => {
    const { url, seen } = await serve(problem(402, 'InsufficientCreditsError'))
    await using artel = await connect({ url })
    const jobs = Array.from({ length: 200 }, () => artel.submit({ type: 'map', items: [1], fn: 'x' }))
    const told = await Promise.allSettled(jobs)
    assert.ok(told.every(({ status }) => status === 'rejected'))
    assert.ok(seen.length < 4 * jobs.length, String(seen.length))
  })

  it('gives up with its signal, whatever the node does', async () => {
    const { url } = await serve(() => {})
    await using artel = await connect({ url })
    const signal = AbortSignal.timeout(50)
    await assert.rejects(artel.balance({ signal }), { name: 'TimeoutError' })
    const job = artel.rangeReduce({ start: 1, end: 2 }, { signal: AbortSignal.timeout(50) })
    await assert.rejects(job.result(), { name: 'TimeoutError' })
  })

  it('is told what answers when it is no node', async () => {
    const { url } = await serve((_, res) => res.writeHead(404).end('<h1>nginx</h1>'))
    await using artel = await connect({ url })
    await assert.rejects(artel.balance(), { name: 'ControlError', message: /404: <h1>nginx/ })
  })
})
