import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { openServiceNetwork } from '../node/demo/service-network.ts'
import { buildGuest, type Guest } from '../node/demo/vm-guest.ts'
import { type Postgres, startPostgres } from '../node/demo/vm-postgres.ts'
import { openPostgres } from '../services/vm/store/postgres.ts'
import { booted, type MachinesHost, OWNER, openMachines } from '../test/services/vm/machines-host.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { ROOT } from './harness/report.ts'
import { alternate, beside, besideRows, summary } from './harness/statistics.ts'
import { startStreams } from './peers/index.ts'
import { libvirt, type Machines, qemuByHand, type Started } from './peers/machines.ts'

const run1 = promisify(execFile)
const MB = 2 ** 20
const RAM_MB = 128

export const metrics: Record<string, string> = {
  'vm.ready': 'a machine started until its monitor answers: records, walls, QEMU; TCG',
  'vm.ready-share': 'speed of vm.ready as a multiple of the peer',
  'vm.boot': 'the same until the prompt of a guest of Debian’s cloud kernel and busybox',
  'vm.boot-share': 'speed of vm.boot as a multiple of the peer',
  'vm.list': 'list of 1,000 machines, records in PostgreSQL: median of a run',
  'vm.list-embedded': 'the same in the embedded database',
  'vm.list-cpu': 'CPU time of the node for vm.list, which hardly depends on who else uses the machine',
  'vm.commands':
    'AUTH and LOGOUT, 32 under way: a change in PostgreSQL, and the machine’s description on the disk',
  'vm.commands-share': 'speed of vm.commands as a multiple of the peer',
  'vm.commands-new': 'ADD_VM in the same way: record, event, and a description that is on the disk',
  'vm.memory': 'memory of node and walls for each running machine, beside that of its QEMU',
  'vm.off': 'memory that a node spends on the service while it is off: its declaration',
  'vm.move':
    'a stopped machine with a disk of 128 MB to another process: read, hashed, sent, written, hashed',
  'vm.move-share': 'speed of vm.move as a multiple of the peer'
}

export async function versions(): Promise<Record<string, string>> {
  const first = async (file: string, ...args: string[]): Promise<string> =>
    (
      await run1(file, args).catch(() => ({
        stdout: 'missing: apt-get install libvirt-daemon libvirt-clients'
      }))
    ).stdout
      .trim()
      .split('\n')[0]!
  return {
    'QEMU by hand': await first('qemu-system-x86_64', '--version'),
    libvirt: await first('virsh', '--version'),
    'plain INSERT': await first('psql', '--version')
  }
}

/** Real machines under TCG on this computer, beside the same QEMU without Artel. */
export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  await using ended = new AsyncDisposableStack()
  const postgres = await startPostgres()
  ended.defer(() => postgres.stop())
  return [
    ...(await starts(quick, failed)),
    ...(await records(quick, postgres, failed)),
    await memory(quick),
    await off(quick),
    // what was measured so far is worth more than a machine that did not arrive
    ...(await moves(quick, failed).catch((error: Error) => {
      failed('vm.move', error)
      return []
    }))
  ]
}

async function starts(quick: boolean, failed: RunOptions['failed']): Promise<Row[]> {
  const rounds = quick ? 1 : 5
  const guest = await buildGuest()
  await using ended = new AsyncDisposableStack()
  const host = await openMachines()
  ended.defer(() => host.end())
  await host.registry.auth(OWNER, 'm', String(RAM_MB), '1')
  await host.bootsGuest('m')
  const { uuid } = await host.registry.show(OWNER, 'm')
  const peers = await open({ 'QEMU by hand': qemuByHand, libvirt }, guest, failed)
  for (const peer of Object.values(peers)) ended.use(peer)

  async function own(): Promise<Started> {
    const startedAt = performance.now()
    await host.power.start(OWNER, 'm')
    const readyMs = performance.now() - startedAt
    await booted(host, uuid)
    const bootMs = performance.now() - startedAt
    await host.power.stop(OWNER, 'm', { force: true })
    return { readyMs, bootMs }
  }
  const boots = new Map<string, number[]>()
  /** ready is what is told, the prompt is kept */
  const timed = (name: string, start: () => Promise<Started>) => async (): Promise<number> => {
    const { readyMs, bootMs } = await start()
    boots.set(name, [...(boots.get(name) ?? []), bootMs])
    return readyMs
  }
  const ready = await beside(
    rounds,
    timed('', own),
    Object.fromEntries(
      Object.entries(peers).map(([name, machines]) => [name, timed(name, () => machines.start(RAM_MB))])
    ),
    failed
  )
  // the first round warms up
  const boot = {
    artel: boots.get('')!.slice(1),
    peers: ready.peers.map(([name]): [string, number[]] => [name, boots.get(name)!.slice(1)])
  }
  return [
    ...besideRows('vm.ready', 'ms', ready, 'vm.ready-share'),
    ...besideRows('vm.boot', 'ms', boot, 'vm.boot-share')
  ]
}

/** Those that are there. */
async function open(
  makers: Record<string, (guest: Guest) => Promise<Machines>>,
  guest: Guest,
  failed: RunOptions['failed']
): Promise<Record<string, Machines>> {
  const opened: Record<string, Machines> = {}
  for (const [name, make] of Object.entries(makers))
    try {
      opened[name] = await make(guest)
    } catch (error) {
      failed(name, error as Error)
    }
  return opened
}

/** Commands under way, also of the peer; both have as many connections as the service opens. */
const AT_ONCE = 32
const CONNECTIONS = 8

/** Runs `work` for 0 to `count` − 1, so many at once: how many a second. */
async function perSecond(count: number, work: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < count) await work(next++)
    })
  )
  return (count * 1_000) / (performance.now() - startedAt)
}

async function records(quick: boolean, postgres: Postgres, failed: RunOptions['failed']): Promise<Row[]> {
  await using ended = new AsyncDisposableStack()
  const embedded = await openMachines()
  ended.defer(() => embedded.end())
  const host = await openMachines({ database: () => openPostgres(postgres.settings) })
  ended.defer(() => host.end())
  for (const each of [embedded, host])
    await perSecond(1_000, i => each.registry.add(OWNER, `m${i}`, '16', '1'))
  const cpu: number[] = []
  const listed = async (each: MachinesHost): Promise<number> => {
    const startedAt = performance.now()
    const rows = await each.registry.list(OWNER)
    if (rows.length < 1_000) throw new Error(`${rows.length} machines are listed`)
    return performance.now() - startedAt
  }
  const listedWithCpu = async (): Promise<number> => {
    const before = process.cpuUsage()
    const ms = await listed(host)
    const { user, system } = process.cpuUsage(before)
    cpu.push((user + system) / 1_000)
    return ms
  }
  const lists = await alternate(quick ? 5 : 50, {
    postgres: listedWithCpu,
    embedded: () => listed(embedded)
  })

  const pool = new pg.Pool({ ...postgres.settings, max: CONNECTIONS })
  ended.defer(() => pool.end())
  await pool.query(
    'CREATE TABLE plain (uuid TEXT PRIMARY KEY, owner TEXT, id TEXT, ram BIGINT, cpu BIGINT, spec TEXT)'
  )
  const count = quick ? 100 : 1_000
  const commands = await beside(
    quick ? 1 : 3,
    async () => {
      const each = await perSecond(count / 2, async i => {
        await host.registry.auth(OWNER, `m${i}`, '16', '1')
        await host.registry.logout(OWNER, `m${i}`)
      })
      return 2 * each
    },
    {
      'plain INSERT': () =>
        perSecond(count, i =>
          pool.query('INSERT INTO plain VALUES ($1, $2, $3, $4, $5, $6)', [
            ...[crypto.randomUUID(), OWNER, `m${i}`, 16, 1, '{"boot":{"kind":"disk"}}']
          ])
        )
    },
    failed
  )
  const added: number[] = []
  for (let round = 0; round < (quick ? 1 : 3); round++)
    added.push(await perSecond(count, i => host.registry.add(`owner ${round}`, `m${i}`, '16', '1')))
  return [
    summary('vm.list', 'ms', lists.postgres),
    summary('vm.list-cpu', 'ms', cpu.slice(1)),
    summary('vm.list-embedded', 'ms', lists.embedded),
    ...besideRows('vm.commands', 'commands/s', commands, 'vm.commands-share'),
    summary('vm.commands-new', 'commands/s', added)
  ]
}

/** What this process and its walls grow by for each machine. */
async function memory(quick: boolean): Promise<Row> {
  v8.setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const count = quick ? 2 : 6
  await using ended = new AsyncDisposableStack()
  const host = await openMachines()
  ended.defer(() => host.end())
  const ids = Array.from({ length: count + 1 }, (_, i) => `m${i}`)
  for (const id of ids) await host.registry.auth(OWNER, id, '16', '1')
  // the first brings the code along
  await host.power.start(OWNER, 'm0')
  const used = (): number => {
    gc()
    return process.memoryUsage.rss() + wallsOf(host)
  }
  const before = used()
  for (const id of ids.slice(1)) await host.power.start(OWNER, id)
  await new Promise(resolve => setTimeout(resolve, 3_000))
  const each = (used() - before) / count / MB
  return summary('vm.memory', 'MB', [each])
}

/** Proportional share of the bwraps that wait for the machines of this host. */
function wallsOf({ folder }: MachinesHost): number {
  let bytes = 0
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name)))
    try {
      const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (!program!.endsWith('bwrap') || !args.some(arg => arg.startsWith(folder))) continue
      bytes += Number(/^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))![1]) * 1_024
    } catch {
      // it ended while we looked
    }
  return bytes
}

/** Heap and code of the declaration, in a process that has the host's code already. */
async function off(quick: boolean): Promise<Row> {
  const at = (path: string): string => JSON.stringify(join(ROOT, path))
  const source = `
    await import(${at('services/files/index.ts')})
    gc(); const before = process.memoryUsage().heapUsed
    await import(${at('services/vm/index.ts')})
    gc(); console.log(process.memoryUsage().heapUsed - before)`
  const samples: number[] = []
  for (let i = 0; i < (quick ? 1 : 3); i++) {
    const args = ['--expose-gc', '--input-type=module', '-e', source]
    samples.push(Number((await run1(process.execPath, args)).stdout) / MB)
  }
  return summary('vm.off', 'MB', samples)
}

async function moves(quick: boolean, failed: RunOptions['failed']): Promise<Row[]> {
  const bytes = (quick ? 16 : 128) * 1_000_000
  await using ended = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  ended.defer(() => rm(folder, { recursive: true, force: true }))
  const network = ended.use(await openServiceNetwork(folder, 'vm'))
  const settings = { allowedPeers: ['*'], allowTcg: true }
  const source = await network.start('source', settings)
  const target = await network.start('target', settings)
  await using streams = await startStreams()
  const rate = (ms: number): number => (bytes * 1_000) / ms / 1_000_000
  let round = 0
  const moved = await beside(
    quick ? 1 : 3,
    async () => {
      const vm = `m${round++}`
      await source.call('exec', { line: `AUTH ${vm} 64 1` })
      const raw = join(folder, vm)
      await writeFile(raw, randomBytes(bytes))
      await run1('qemu-img', ['convert', '-O', 'qcow2', raw, `${raw}.qcow2`])
      await source.call('importDisk', { vm, disk: vm, file: `${raw}.qcow2` })
      const startedAt = performance.now()
      await source.call('move', { vm, to: target.id })
      const speed = rate(performance.now() - startedAt)
      for (const file of [raw, `${raw}.qcow2`]) await rm(file)
      return speed
    },
    { 'libp2p stream': async () => rate(await streams.libp2p.in(bytes)) },
    failed
  )
  return besideRows('vm.move', 'MB/s', moved, 'vm.move-share')
}
