import type { Machine } from '../contract.ts'
import { deviceName, nodeName } from '../qemu/arguments.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'
import { dropLayer } from './memory.ts'

interface Block {
  /** path of the device in QEMU */
  qdev?: string
  inserted?: { 'node-name'?: string }
}

/**
 * A node that was killed between its own record of new tops and QEMU's: QEMU still writes into the layers beneath them.
 * They are the tops again.
 */
export async function undoFreeze(context: Context, handle: Live, { uuid }: Machine): Promise<void> {
  const { database: db } = context
  const blocks = await handle.ask<Block[]>('query-block')
  for (const disk of await records.disksOf(db, uuid)) {
    const block = blocks.find(({ qdev }) => qdev?.split('/').includes(deviceName(disk.uuid)))
    const below = (await records.chainOf(db, disk.top)).at(-2)
    if (below === undefined || block?.inserted?.['node-name'] !== nodeName(below)) continue
    await db.transaction(queries => records.setTop(queries, disk.uuid, below))
    await dropLayer(context, disk.top)
    await context.note(uuid, 'freeze-undone', disk.id)
  }
}
