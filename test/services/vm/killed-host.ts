import { join } from 'node:path'
import { VERDICTS } from '../../../services/vm/errors.ts'
import type { Database, Queries } from '../../../services/vm/store/database.ts'
import { openPostgres } from '../../../services/vm/store/postgres.ts'
import { postgresSettings } from '../../../services/vm/store/settings.ts'
import { createRandom } from '../../simulation/random.ts'
import { type MachinesHost, OWNER, openEmbedded, openMachines } from './machines-host.ts'

/*
 * A host of machines that does what its seed says until it kills itself before or after a statement of its database:
 * `killed-host.ts FOLDER SEED`. It ends by itself only where something failed that should not, and says what.
 */

const MOST_POINTS = 150
const MACHINES = 2
const [folder, seed] = process.argv.slice(2) as [string, string]
const random = createRandom(Number(seed))
const below = (most: number) => Math.floor(random() * most)
const one = (letter: string, most: number) => `${letter}${below(most)}`

let left = 1 + below(MOST_POINTS)
function point(): void {
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
}

const counted = ({ query }: Queries): Queries => ({
  async query(sql, ...values) {
    point()
    const rows = await query(sql, ...values)
    point()
    return rows as never
  }
})

async function open(): Promise<Database> {
  const settings = postgresSettings()
  const database =
    settings === undefined ? openEmbedded(join(folder, 'vm.sqlite')) : await openPostgres(settings)
  return {
    ...database,
    ...counted(database),
    joint: counted(database.joint),
    together: work => database.together(queries => work(counted(queries))),
    async transaction(work) {
      const result = await database.transaction(queries => work(counted(queries)))
      point()
      return result
    }
  }
}

const ACTS: readonly ((host: MachinesHost) => Promise<unknown>)[] = [
  ({ registry }) => registry.auth(OWNER, one('m', MACHINES), '16', '1'),
  ({ registry }) => registry.auth(OWNER, one('m', MACHINES), '16', '1'),
  ({ registry }) => registry.addDisk(OWNER, one('d', 4), one('m', MACHINES), '1'),
  ({ registry }) => registry.addDisk(OWNER, one('d', 4), one('m', MACHINES), '1'),
  ({ power }) => power.start(OWNER, one('m', MACHINES)),
  ({ power }) => power.start(OWNER, one('m', MACHINES)),
  ({ power }) => power.stop(OWNER, one('m', MACHINES), { force: true }),
  ({ power }) => power.pause(OWNER, one('m', MACHINES)),
  ({ power }) => power.resume(OWNER, one('m', MACHINES)),
  ({ snapshots }) => snapshots.take(OWNER, one('m', MACHINES), one('s', 2)),
  ({ snapshots }) => snapshots.take(OWNER, one('m', MACHINES), one('s', 2), { hasMemory: true }),
  ({ snapshots }) => snapshots.restore(OWNER, one('m', MACHINES), one('s', 2)),
  ({ snapshots }) => snapshots.remove(OWNER, one('m', MACHINES), one('s', 2)),
  ({ snapshots }) => snapshots.clone(OWNER, one('m', MACHINES), one('m', MACHINES)),
  ({ registry }) => registry.grow(OWNER, one('d', 4), 2),
  ({ registry }) => registry.update(OWNER, one('m', MACHINES), '16', String(1 + below(2))),
  ({ registry }) => registry.remove(OWNER, one('m', MACHINES)),
  ({ registry }) => registry.restore(OWNER, one('m', MACHINES)),
  ({ registry }) => registry.grant(OWNER, one('m', MACHINES), 'friend', 'viewer'),
  async ({ registry, power }) => {
    const { uuid, authenticated } = await registry.show(OWNER, one('m', MACHINES))
    // one that is logged out is not started again
    if (authenticated) await power.live(uuid).end(true)
  }
]

const host = await openMachines({ folder, database: open })
for (;;)
  await ACTS[below(ACTS.length)]!(host).catch((error: Error) => {
    if (VERDICTS[error.name] !== undefined) return
    console.error(error)
    process.exit(1)
  })
