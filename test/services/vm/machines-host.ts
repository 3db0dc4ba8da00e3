import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import { defaultLogger } from '@libp2p/logger'
import { buildGuest } from '../../../node/demo/vm-guest.ts'
import type { Spec } from '../../../services/vm/contract.ts'
import { createMachines, type Machines } from '../../../services/vm/machines/create-machines.ts'
import { kill } from '../../../services/vm/qemu/process.ts'
import { findPrograms, type Programs } from '../../../services/vm/qemu/walls.ts'
import type { Database } from '../../../services/vm/store/database.ts'
import { insertLayer, ownMachine, updateMachine } from '../../../services/vm/store/records.ts'
import { MIGRATIONS } from '../../../services/vm/store/schema.ts'
import { overSqlite } from '../../../services/vm/store/sqlite.ts'

export const OWNER = 'owner'

let found: Promise<Programs> | undefined
/** They are the same for all tests. */
function programs(): Promise<Programs> {
  found ??= findPrograms()
  return found
}

export interface MachinesHost extends Machines {
  folder: string
  database: Database
  /** Opens the same folder again, as a node that was started again would. */
  again(meanwhile?: (folder: string) => Promise<void>): Promise<MachinesHost>
  /** Leaves everything as it is, as a node that ends does. */
  close(): Promise<void>
  /** Lets the test's kernel be what this machine boots. */
  bootsGuest(id: string): Promise<void>
  end(): Promise<void>
}

export function openEmbedded(file: string): Database {
  const isNew = !existsSync(file)
  const sqlite = new DatabaseSync(file)
  sqlite.exec('PRAGMA journal_mode = WAL')
  if (isNew) for (const migration of MIGRATIONS) sqlite.exec(migration)
  const database = overSqlite(sqlite)
  return { ...database, close: () => database.close().then(() => sqlite.close()) }
}

/** A host of machines on a folder and a database of its own. */
export async function openMachines(
  options: {
    database?: (folder: string) => Promise<Database>
    folder?: string
    quotas?: object
    now?: () => number
  } = {}
): Promise<MachinesHost> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'artel-vm-')))
  const database = (await options.database?.(folder)) ?? openEmbedded(join(folder, 'vm.sqlite'))
  const machines = await createMachines(
    {
      folder,
      quotas: { machines: 2_000, ramMb: 1_048_576, cpu: 5_000, diskGb: 65_536, ...options.quotas },
      needFit() {},
      now: options.now ?? Date.now
    },
    { database, programs: await programs(), log: defaultLogger().forComponent('artel:vm') }
  )
  const stopping = new AbortController()
  await machines.power.begin(stopping.signal)
  const host: MachinesHost = {
    ...machines,
    folder,
    database,
    async close() {
      stopping.abort()
      machines.power.detach()
      await machines.context.describe.close()
      await database.close()
    },
    async again(meanwhile) {
      await host.close()
      await meanwhile?.(folder)
      return openMachines({ ...options, folder })
    },
    async bootsGuest(id) {
      const guest = await buildGuest()
      const [kernel, initrd] = [randomUUID(), randomUUID()]
      await copyFile(guest.kernel, machines.context.layerFile(kernel))
      await copyFile(guest.initrd, machines.context.layerFile(initrd))
      await insertLayer(database, kernel, undefined, OWNER)
      await insertLayer(database, initrd, undefined, OWNER)
      const { uuid } = (await ownMachine(database, OWNER, id))!
      const spec: Spec = { boot: { kind: 'kernel', kernel, initrd, append: guest.append } }
      await updateMachine(database, uuid, { spec })
    },
    async end() {
      for (const { uuid } of await machines.registry.list(OWNER)) {
        const { identity } = machines.power.live(uuid)
        if (identity !== undefined) kill(identity)
      }
      await host.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
  return host
}

/** Waits for what a machine's user would wait for. */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
  ms = 240_000
): Promise<NonNullable<T>> {
  const deadline = Date.now() + ms
  for (;;) {
    const seen = await look()
    if (seen) return seen as NonNullable<T>
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${ms} ms`)
    await wait(10)
  }
}

/** Types a command at the guest's prompt and returns what it printed. */
export async function type(host: Machines, uuid: string, command: string): Promise<string> {
  const { console } = host.power.live(uuid)
  const mark = randomUUID().slice(0, 8)
  const from = console.received
  const all = () => {
    const recent = console.recent()
    return recent.subarray(Math.max(0, recent.length - (console.received - from))).toString()
  }
  // the echo of the line holds the quotes, the output does not
  const echo = `${mark.slice(0, 4)}''${mark.slice(4)}`
  console.write(Buffer.from(`${command}; echo ${echo}\n`))
  await until(() => all().includes(mark), `the end of ${command}`)
  // what was typed before the prompt was there is echoed twice
  const echoed = all().lastIndexOf(echo)
  const printed = echoed < 0 ? all().split('\n').slice(1).join('\n') : all().slice(echoed + echo.length)
  return printed.split(mark)[0]!.trim()
}

export async function booted(host: Machines, uuid: string): Promise<void> {
  await until(() => host.power.live(uuid).console.recent().includes('/ # '), 'the guest’s prompt')
}
