import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import { description, insertDescription } from './description.ts'
import { DESCRIPTION_FILE, lastDescription } from './description-file.ts'
import type { Power } from './power.ts'

const DESCRIPTION_BYTES = 4 << 20

export interface Recovered {
  machines: { id: string; owner: string; disks: number; isActive: boolean }[]
  /** folders that could not be read, and why */
  left: { folder: string; why: string }[]
}

/**
 * Registers every machine whose folder is there and that the database does not know, and adopts what of them runs.
 * What the database knows stays as it is, so it does no harm to do it again.
 */
export async function recover(context: Context, power: Power): Promise<Recovered> {
  const { database: db } = context
  await context.describe.settle()
  const machines: Recovered['machines'] = []
  const left: Recovered['left'] = []
  for (const folder of await readdir(context.machineFolder('.'))) {
    if ((await records.machineByUuid(db, folder)) !== undefined) continue
    try {
      const file = join(context.machineFolder(folder), DESCRIPTION_FILE)
      const { size } = await stat(file)
      if (size > DESCRIPTION_BYTES) throw new RangeError(`${DESCRIPTION_FILE} has ${size} bytes`)
      const told = description.parse(lastDescription(await readFile(file, 'utf8')))
      const { machine, disks, layers, releasedTo } = told
      if (machine.uuid !== folder) throw new RangeError(`it describes machine ${machine.uuid}`)
      if (releasedTo !== undefined) throw new RangeError(`the machine was given to ${releasedTo}`)
      const lacking = layers.find(({ uuid }) => !existsSync(context.layerFile(uuid)))
      if (lacking !== undefined) throw new RangeError(`layer ${lacking.uuid} is missing`)
      await db.transaction(async queries => {
        if (!(await insertDescription(queries, told, context.now())))
          throw new RangeError(`there is another machine ${machine.id} or a disk of its name`)
      })
      await context.note(machine.uuid, 'recovered')
      machines.push({
        ...{ id: machine.id, owner: machine.owner },
        ...{ disks: disks.length, isActive: machine.active }
      })
    } catch (error) {
      left.push({ folder, why: (error as Error).message.slice(0, 300) })
    }
  }
  await power.adopt()
  return { machines, left }
}
