import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Processes, type Program, type Started } from '../integration/processes.ts'
import { attacks } from './hostile-peer/attacks.ts'
import type { Delays } from './hostile-peer/probe.ts'

/*
 * What one hostile peer may cost a node, with real processes: a seed, a worker that is attacked, an honest requester that
 * runs one job after the other on it, and the attacker. Each attack meets a worker of its own.
 * `ATTACK_SECONDS` (30; no node takes variables of ours that are not its settings), `ATTACKS`: names behind commas (all).
 */
const MOST_RSS_MIB = 150
const MOST_P99_MS = 100
const LEAST_SPEED = 0.8
const QUIET_S = 10

const here = (file: string) => fileURLToPath(new URL(`./hostile-peer/${file}`, import.meta.url))

interface Row {
  attack: string
  /** of the machine, for what else it does slows everything */
  load: number
  /** before the attack */
  'quiet p99 ms': number
  'RSS +MiB': number
  /** of the event loop's delay, and without the time in which the machine did something else: that is what may be so much */
  'p99 ms': number
  'own p99 ms': number
  'max ms': number
  /** of the honest jobs, to what it was before the attack */
  speed: number
  /** the attacker is not let in any more */
  out: boolean
  holds: boolean
  /** what it was told last */
  told: string
  [name: string]: unknown
}

/** Every attack, each for so long beside honest jobs. Resolves with whether all of them were held off, and the table. */
export async function run(): Promise<{ ok: boolean; table: Row[] }> {
  const seconds = Number(process.env.ATTACK_SECONDS ?? 30)
  const names = process.env.ATTACKS?.split(',') ?? Object.keys(attacks)
  const table: Row[] = []
  for (const name of names) {
    // a node that fell cannot be asked any more
    const fallen = {
      load: Number.NaN,
      'quiet p99 ms': Number.NaN,
      'RSS +MiB': Number.NaN,
      'p99 ms': Number.NaN,
      'own p99 ms': Number.NaN,
      'max ms': Number.NaN,
      speed: 0,
      out: false
    }
    table.push(
      await suffer(name, seconds).catch(error => ({
        attack: name,
        ...fallen,
        holds: false,
        told: String(error)
      }))
    )
    console.log(JSON.stringify(table.at(-1)))
  }
  return { ok: table.every(({ holds }) => holds), table }
}

/** One attack on a worker of its own. */
async function suffer(attack: string, seconds: number): Promise<Row> {
  const net = new Processes()
  try {
    const seed = await net.seed()
    const { worker, probe } = await startWorker(net)
    const honest = net.program(here('honest.ts'), [await net.folder(), seed.ready.addresses[0]!])
    await honest.event('three honest jobs', () => jobsOf(honest).length >= 3, 60_000)

    await delaysOf(probe)
    const before = await speedOf(honest, QUIET_S)
    const rss = rssMib(worker)
    const quiet = await delaysOf(probe)
    const [address] = worker.ready.addresses as [string]
    const { port } = new URL((worker.ready as { dashboard?: string }).dashboard!)
    const attacker = net.program(here('attacker.ts'), [attack, address, port, String(seconds)])
    await attacker.event('ready', ({ event }) => event === 'ready')
    const most = watchRss(worker, seconds)
    const during = await speedOf(honest, seconds)
    const { p99, max, own } = await delaysOf(probe)
    const { out, told } = await attacker.event<{ out: boolean; told: string }>(
      'its end',
      ({ event }) => event === 'end',
      60_000
    )
    const grown = Math.round((await most) - rss)
    const speed = Math.round((during / before) * 100) / 100
    const holds = grown <= MOST_RSS_MIB && own.p99 <= MOST_P99_MS && speed >= LEAST_SPEED && out
    const beside = { load: Math.round(loadavg()[0]!), 'quiet p99 ms': Math.round(quiet.p99) }
    const row = {
      'RSS +MiB': grown,
      'p99 ms': Math.round(p99),
      'own p99 ms': Math.round(own.p99),
      'max ms': Math.round(max),
      speed,
      out
    }
    return { attack, ...beside, ...row, holds, told: told.slice(0, 60) }
  } finally {
    await net.stop()
  }
}

async function startWorker(net: Processes) {
  const probe = join(await net.folder(), 'probe')
  const worker = await net.worker(undefined, {
    inside: [
      'env',
      `NODE_OPTIONS=--import=${here('probe.ts')}`,
      `ATTACK_PROBE=${probe}`,
      'ARTEL_GATEWAY_ENABLED=true',
      'ARTEL_GATEWAY_PORT=0'
    ]
  })
  return { worker, probe }
}

const jobsOf = (honest: Program) => honest.events.filter(({ event }) => event === 'done')

/** Items per second of the jobs that end from now on. */
async function speedOf(honest: Program, seconds: number): Promise<number> {
  const done = () => jobsOf(honest).reduce((sum, { items }) => sum + (items as number), 0)
  const before = done()
  await delay(seconds * 1_000)
  return (done() - before) / seconds
}

/** Since the last question. */
async function delaysOf(probe: string): Promise<Delays> {
  return JSON.parse(await text(connect(probe)))
}

function rssMib({ ready }: Started): number {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${ready.pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}

/** The most in so many seconds, MiB. */
async function watchRss(worker: Started, seconds: number): Promise<number> {
  let most = 0
  for (const end = Date.now() + seconds * 1_000; Date.now() < end; await delay(100))
    most = Math.max(most, rssMib(worker))
  return most
}
