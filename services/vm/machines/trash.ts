import { rm } from 'node:fs/promises'
import type { Uuid } from '../contract.ts'
import { ExistsError } from '../errors.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import { bootFiles } from './description.ts'
import type { Snapshots } from './snapshots.ts'

export const TRASH_MS = 7 * 24 * 3_600_000

export interface Trash {
  /** Deletes the files of a machine that is not active, and of its records all but the row where that is kept. */
  purge(machine: Uuid, options: { keepsRow: boolean }): Promise<void>
  /** Deletes what has been in it for seven days. */
  empty(): Promise<void>
}

export function createTrash(context: Context, snapshots: Snapshots): Trash {
  const { database: db } = context

  async function purge(uuid: Uuid, { keepsRow }: { keepsRow: boolean }) {
    const machine = await records.machineByUuid(db, uuid)
    if (machine === undefined) return
    const frozen = (await records.snapshotsOf(db, uuid)).flatMap(({ disks, memory }) =>
      memory === undefined ? disks : [...disks, memory]
    )
    const heads = [
      ...(await records.topsEver(db, uuid)),
      ...frozen.map(({ layer }) => layer),
      ...bootFiles(machine.spec)
    ]
    // the chains are read before the rows go, the files go after them
    await snapshots.sweep(heads, () =>
      db.transaction(async queries => {
        if ((await records.machineByUuid(queries, uuid))?.active !== false)
          throw new ExistsError(`machine ${machine.id} was taken out of the trash`)
        await records.deleteMachine(queries, uuid, keepsRow)
      })
    )
    // the journal may be putting a line there
    await rm(context.machineFolder(uuid), { recursive: true, force: true, maxRetries: 5 })
  }

  return {
    purge,
    async empty() {
      const { machines, disks } = await records.trashedBefore(db, context.now() - TRASH_MS)
      const each = (work: Promise<void>) =>
        work.catch((error: Error) => context.log('left in the trash: %s', error.message))
      for (const machine of machines) await each(purge(machine, { keepsRow: true }))
      for (const { uuid, top } of disks)
        await each(
          snapshots.sweep([top], async () => {
            await db.query('DELETE FROM disks WHERE uuid = $1 AND active = 0', uuid)
          })
        )
    }
  }
}
