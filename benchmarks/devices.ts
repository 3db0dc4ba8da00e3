import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OWNER } from '../services/index.ts'
import { createFleet } from '../test/services/tv/fleet.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { liveValues } from './harness/live-values.ts'
import { beside, besideRows, percentile, summary } from './harness/statistics.ts'
import { caughtUpUnderLoad, openWitnessed, TEXT } from './harness/witnessed.ts'

/** Not yet acknowledged messages of MQTT. */
const WINDOW = 200
/** It writes all that it holds anew when a message has come, after it was acknowledged. */
const SAVING = 'mosquitto QoS 1, saving'
const TVS = 150
const TV_NODES = 4

export const metrics: Record<string, string> = {
  'devices.delivered':
    'events of 200 characters from a driver until two witnesses have signed that they are on their disks; agent and witnesses share one process',
  'devices.delivered-share':
    'devices.delivered as a multiple of the peer: mosquitto_pub at QoS 1, two brokers with a bridge, until a subscriber of the second has all; neither broker waits for its disk, also where it writes its database after every message',
  'devices.catch-up': 'the same events for a witness that was away while they were written',
  'devices.catch-up-under-load':
    'both witnesses were away for 6 minutes of a device that says 100 events a second, and it goes on at that: seconds of these 6 minutes (360 s) per second until both have signed all of them, and what was said meanwhile',
  'devices.cpu': 'CPU time of all three, per event',
  'devices.disk': 'bytes that each of the three keeps of an event',
  'devices.shown-p50':
    'a value on a page: from the call of its driver until it stands on the dashboard in Chromium, one after the other, node and page on this machine: median of a run',
  'devices.year': 'history of a reading over a year by hours, 8,760 points, as the service answers it',
  'devices.tv-p95':
    '150 operations over 150 simulated TVs behind four nodes, all asked at once by an operator: from the question until the outcome, looked at on the TV, is there; 95th percentile of a round; TVs, nodes and operator share one process'
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Two brokers of Debian's mosquitto with a bridge; messages/s until a subscriber of the second one has all. */
async function mqttRate(folder: string, count: number, saving = ''): Promise<number> {
  await using ended = new AsyncDisposableStack()
  const [from, to] = [await freePort(), await freePort()]
  const start = async (command: string, args: string[]) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    child.on('error', () => {}) // told by `spawn` below
    ended.defer(() => void child.kill())
    await once(child, 'spawn').catch(() => {
      throw new Error(`${command} is missing: apt-get install mosquitto mosquitto-clients`)
    })
    return child
  }
  const broker = async (name: string, port: number, more = ''): Promise<void> => {
    const file = join(folder, `${name}.conf`)
    const usual = `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages ${WINDOW}\npersistence true\nautosave_interval 1\npersistence_file ${name}-${port}.db\npersistence_location ${folder}/\n${saving}`
    await writeFile(file, usual + more)
    await start('mosquitto', ['-c', file])
    await delay(500)
  }
  await broker('second', to)
  await broker(
    'first',
    from,
    `connection b\naddress 127.0.0.1:${to}\ntopic bench out 1\nbridge_protocol_version mqttv311\n`
  )
  const usual = ['-h', '127.0.0.1', '-t', 'bench', '-q', '1']
  const reader = await start('mosquitto_sub', [...usual, '-p', String(to), '-C', String(count), '-W', '120'])
  reader.stdout.resume()
  await delay(500)
  const writer = await start('mosquitto_pub', [...usual, '-p', String(from), '-l', '-M', String(WINDOW)])
  const startedAt = performance.now()
  writer.stdin.end(`${TEXT}\n`.repeat(count))
  const [code] = await once(reader, 'exit')
  if (code !== 0) throw new Error(`the subscriber has not got all: exit code ${code}`)
  return (count * 1000) / (performance.now() - startedAt)
}

/** 95th percentile of each round, in ms. */
async function tvTimes(rounds: number): Promise<number[]> {
  await using fleet = createFleet()
  const tvs = await Promise.all(Array.from({ length: TVS }, (_, i) => fleet.tv(`tv-${i}`)))
  const operator = await fleet.start({ lookSeconds: 5 })
  const grants = [`${operator.id} read,control`]
  const settings = (node: number) => ({
    tvs: tvs.filter((_, i) => i % TV_NODES === node).map(({ place }) => place),
    grants,
    lookSeconds: 5
  })
  for (let node = 0; node < TV_NODES; node++) await fleet.start(settings(node))
  await operator.up(TVS)
  const times: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const level = round + 1
    const begun = performance.now()
    const took: number[] = []
    const input = { operation: 'sound.volume', on: '*', args: { level }, atOnce: TVS, canary: 0, stopAt: 100 }
    const { items } = (await operator.host.services.call('tv', 'do', input as never, {
      caller: OWNER,
      send: async () => void took.push(performance.now() - begun)
    })) as { items: { is: string; tv: string }[] }
    const isRight =
      new Set(items.map(({ tv }) => tv)).size === TVS &&
      items.every(({ is }) => is === 'done') &&
      tvs.every(({ tv }) => tv.volume === level)
    if (!isRight) throw new Error(`round ${round}: not each of ${TVS} TVs was set once`)
    // the first one warms up
    if (round > 0) times.push(percentile(took, 95))
  }
  return times
}

export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  const count = quick ? 2_000 : 20_000
  await using ended = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  ended.defer(() => rm(folder, { recursive: true, force: true }))
  const fleet = ended.use(await openWitnessed(folder))
  await fleet.join(0)
  await fleet.write(count)
  const before = await fleet.status()
  const startedAt = performance.now()
  await fleet.join(1)
  await fleet.until(({ own }) => own.delivered >= before.own.last)
  const catchUp = (count * 1000) / (performance.now() - startedAt)
  const cpu: number[] = []
  const disk: number[] = []
  const delivered = await beside(
    rounds,
    async () => {
      const { bytes } = await fleet.status()
      const used = process.cpuUsage()
      const begun = performance.now()
      await fleet.write(count)
      const { own } = await fleet.status()
      await fleet.until(each => each.own.delivered >= own.last)
      const ms = performance.now() - begun
      const { user, system } = process.cpuUsage(used)
      cpu.push((user + system) / count)
      disk.push(((await fleet.status()).bytes - bytes) / count)
      return (count * 1000) / ms
    },
    {
      'mosquitto QoS 1': () => mqttRate(folder, count),
      [SAVING]: () => mqttRate(folder, count, 'autosave_on_changes true\n')
    },
    failed
  )
  const underLoad: number[] = []
  for (let round = 0; round < (quick ? 1 : 3); round++)
    underLoad.push(await caughtUpUnderLoad(join(folder, `away-${round}`), quick ? 60 : 360))
  const live = await liveValues(join(folder, 'live'), quick ? 10 : 50)
  const tvs = await tvTimes(rounds)
  return [
    ...besideRows('devices.delivered', 'messages/s', delivered, 'devices.delivered-share'),
    summary('devices.catch-up', 'messages/s', [catchUp]),
    summary('devices.catch-up-under-load', '×', underLoad),
    summary('devices.cpu', 'µs', cpu.slice(1)),
    summary('devices.disk', 'bytes', disk.slice(1)),
    summary('devices.shown-p50', 'ms', live.shown),
    summary('devices.year', 'ms', live.years),
    summary('devices.tv-p95', 'ms', tvs)
  ]
}
