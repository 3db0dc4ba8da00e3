import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { declare, OWNER, operation, service } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'

const empty = z.object({})
const read = { scope: 'bad:read' as const, http: { method: 'GET' as const, path: '/bad' as const } }
const declaration = declare({
  name: 'bad',
  version: 1,
  summary: 'fails in every way',
  operations: {
    throws: operation({ summary: 'Throws', input: empty, output: empty, ...read }),
    hangs: operation({
      summary: 'Never ends',
      input: empty,
      output: empty,
      scope: 'bad:read',
      http: { method: 'GET', path: '/bad/hangs' },
      deadlineMs: 200
    }),
    streams: operation({
      summary: 'Tells something, then throws',
      input: empty,
      output: empty,
      progress: z.object({ step: z.int() }),
      scope: 'bad:read',
      http: { method: 'GET', path: '/bad/streams' }
    }),
    fine: operation({
      summary: 'Works',
      input: empty,
      output: z.object({ turns: z.int() }),
      scope: 'bad:read',
      http: { method: 'GET', path: '/bad/fine' }
    })
  }
})

/** What it does wrong beside its operations is said from outside. */
const wrong = { start: false, timer: false }
const bad = service(declaration, async () => host => {
  if (wrong.start) throw new Error('it cannot start')
  let turns = 0
  host.repeat('its own timer', 20, () => {
    turns++
    if (wrong.timer) throw new Error('the timer fell')
  })
  return {
    operations: {
      throws: () => {
        throw new Error('the handler fell')
      },
      hangs: () => new Promise(() => {}),
      async streams(_, { send }) {
        await send({ step: 1 })
        throw new Error('the stream fell')
      },
      fine: () => ({ turns })
    }
  }
})

describe('services: a bad guest beside a job', () => {
  let folder: string
  let node: ArtelNode
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-bad-'))
    const flags = {
      data: folder,
      logLevel: 'silent',
      trustedPeers: ['*'],
      slots: 1,
      'gateway.enabled': true,
      'gateway.port': 0
    }
    wrong.start = true
    node = await createNode(loadConfig({ environment: {}, flags }), { role: 'seed', services: [bad] })
  })
  after(async () => {
    await node?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const call = (name: string) => node.services.call('bad', name, {}, { caller: OWNER })
  const health = () => node.services.health().find(({ service }) => service === 'bad')!
  /** as everybody sees it who may read */
  const seen = async () => {
    const headers = { authorization: `Bearer ${node.gateway!.token}` }
    const answer = await fetch(`${node.gateway!.url}/health`, { headers })
    equal(answer.status, 200)
    const { services } = (await answer.json()) as { services: ReturnType<typeof health>[] }
    return services.find(({ service }) => service === 'bad')!
  }

  it('throws at its start, in a handler, in a stream, in a timer, for ever: the job goes on, and health says why', async () => {
    // longer than all that follows, but for the end that the test gives it
    const job = await node.submit({ type: 'map', range: { start: 1, end: 400 }, fn: slow, context: {} })
    const reached = () => job.report().done
    const goesOn = async (): Promise<void> => {
      const before = reached()
      await until(() => reached() > before || job.report().finished != null, 'the job goes on')
    }

    // it is started again and again, and is looked at in between
    await until(() => health().state === 'failed', 'it has failed')
    equal(health().reason, 'it cannot start')
    await until(async () => /it cannot start/.test((await seen()).reason ?? ''), 'everybody sees why')
    await rejects(call('fine'), { name: 'ServiceDownError' })
    await goesOn()

    wrong.start = false
    await until(() => health().state === 'running', 'it is started again by itself')
    await rejects(call('throws'), { message: 'the handler fell' })
    deepEqual([health().state, health().reason], ['degraded', 'bad.throws: the handler fell'])
    await goesOn()

    await rejects(call('hangs'), { name: 'OverdueError' })
    match((await seen()).reason!, /bad\.hangs: .*more than 200 ms/)
    const headers = { authorization: `Bearer ${node.gateway!.token}`, accept: 'text/event-stream' }
    const told = await (await fetch(`${node.gateway!.url}/api/v1/bad/streams`, { headers })).text()
    match(told, /^event: progress\ndata: \{"step":1\}\n\nevent: error\n/)
    match(health().reason!, /bad\.streams: the stream fell/)
    await goesOn()

    wrong.timer = true
    await until(() => /its own timer: the timer fell/.test(health().reason ?? ''), 'the timer fails')
    wrong.timer = false
    await until(() => !/its own timer/.test(health().reason ?? ''), 'the timer works again')
    const { turns } = (await call('fine')) as { turns: number }
    ok(turns > 0, 'what works goes on working')

    const result = (await job.result({ signal: AbortSignal.timeout(240_000) })) as number[]
    deepEqual([result.length, result[0], result[399]], [400, 1, 160_000])
  })
})

/** x², after a while */
const slow = `x => {
  let y = 0
  for (let i = 0; i < 2e6; i++) y += i % 7
  return y < 0 ? 0 : x * x
}`
