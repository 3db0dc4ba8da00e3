import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeMachine } from '../../../services/vm/machines/description.ts'
import { DESCRIPTION_FILE, lastDescription } from '../../../services/vm/machines/description-file.ts'
import { deviceName, nodeName } from '../../../services/vm/qemu/arguments.ts'
import { leftLayers } from '../../../services/vm/store/layers.ts'
import { activeMachines, disksOf, machinesWithFolder } from '../../../services/vm/store/records.ts'
import { type MachinesHost, OWNER, openMachines, until } from './machines-host.ts'

const LIBRARIES = import.meta.resolve('../../../node/vendor/hook.js')
const CHILD = join(import.meta.dirname, 'killed-host.ts')
const LIFE_MS = 240_000

export interface KillReport {
  kills: number
  /** of guests that outlived a host */
  adopted: number
  problems: string[]
}

/** Hosts of machines on one folder, killed one after the other; after each, everything must agree. */
export async function checkKills(
  kills: number,
  seed: number,
  database?: { environment: Record<string, string>; open: () => Promise<MachinesHost['database']> }
): Promise<KillReport> {
  const folder = await mkdtemp(join(tmpdir(), 'artel-vm-kills-'))
  // who is killed leaves no compiled code for the next
  flushCompileCache()
  const report: KillReport = { kills: 0, adopted: 0, problems: [] }
  const open = () => openMachines({ folder, ...(database && { database: database.open }) })
  let host = await open()
  try {
    for (let next = seed; next < seed + kills && report.problems.length === 0; next++) {
      await host.close()
      const said = await live(folder, next, database?.environment)
      host = await open()
      report.kills++
      if (said !== undefined) report.problems.push(`seed ${next}: the host ended: ${said}`)
      try {
        report.adopted += await agree(host)
      } catch (error) {
        report.problems.push(`seed ${next}: ${(error as Error).message}`)
      }
    }
  } finally {
    await host.end()
  }
  return report
}

/** One host from its start to its kill; what it said where it was not killed. */
async function live(folder: string, seed: number, environment: Record<string, string> = {}) {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, ['--import', LIBRARIES, CHILD, folder, String(seed)], {
    env: { PATH, NODE_COMPILE_CACHE, DB_HOST: '', ...environment },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  const deadline = setTimeout(() => child.kill('SIGTERM'), LIFE_MS)
  let said = ''
  child.stderr.on('data', data => {
    said = (said + data).slice(-2_000)
  })
  const [, signal] = await once(child, 'close')
  clearTimeout(deadline)
  return signal === 'SIGKILL' ? undefined : said || `by ${signal}`
}

/** How many guests run. @throws AssertionError where database, folder and process differ */
async function agree(host: MachinesHost): Promise<number> {
  const { context, database: db, power, registry } = host
  const expected = { running: 'running', paused: 'paused', stopped: 'stopped', removed: 'removed' }
  const machines = await activeMachines(db)
  await until(
    async () =>
      (await activeMachines(db)).every(machine => power.state(machine) === expected[machine.desired]),
    `what is wanted of ${machines.map(({ id, desired }) => `${id} ${desired}`).join(', ')}`
  ).catch(async error => {
    const seen = (await registry.list(OWNER)).map(({ id, state }) => `${id} ${state}`)
    throw new Error(`${error.message}; seen: ${seen.join(', ')}`)
  })
  await until(async () => (await db.query('SELECT machine FROM operations')).length === 0, 'every release')
  const known = await machinesWithFolder(db)
  await context.describe.settle()
  const processes = qemusOf(context.programs.qemu, known)
  const current = await activeMachines(db)
  assert.deepEqual(
    processes.map(({ uuid }) => uuid).sort(),
    current
      .filter(({ desired }) => desired !== 'stopped')
      .map(({ uuid }) => uuid)
      .sort(),
    'one process for each machine that is on'
  )
  for (const { uuid, id } of current) {
    const handle = power.live(uuid)
    if (!handle.observe().isAlive) continue
    const blocks = await handle.ask<{ qdev?: string; inserted?: { 'node-name': string } }[]>('query-block')
    for (const disk of await disksOf(db, uuid)) {
      const block = blocks.find(({ qdev }) => qdev?.split('/').includes(deviceName(disk.uuid)))
      assert.equal(block?.inserted?.['node-name'], nodeName(disk.top), `what ${id} writes of ${disk.id} into`)
    }
  }
  for (const uuid of known) {
    const text = await readFile(join(context.machineFolder(uuid), DESCRIPTION_FILE), 'utf8')
    assert.deepEqual(lastDescription(text), JSON.parse(JSON.stringify(await describeMachine(db, uuid))))
  }
  const layers = await db.query<{ uuid: string }>('SELECT uuid FROM layers')
  assert.deepEqual(
    (await readdir(context.layerFile('.'))).sort(),
    layers.map(({ uuid }) => uuid).sort(),
    'layers'
  )
  assert.deepEqual(await leftLayers(db), [], 'layers of nothing')
  for (const { id, isSound, ...row } of await registry.check(OWNER))
    assert.ok(isSound, `${id}: ${JSON.stringify(row)}`)
  return processes.length
}

/** Every QEMU of these machines; two of one are two. */
function qemusOf(qemu: string, uuids: readonly string[]) {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      try {
        const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        const uuid = args[args.indexOf('-uuid') + 1] ?? ''
        return program === qemu && uuids.includes(uuid) ? [{ pid, uuid }] : []
      } catch {
        return [] // it ended while we looked
      }
    })
}
