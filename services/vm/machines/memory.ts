import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm, statfs } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Machine, Memory, Shape, Uuid } from '../contract.ts'
import { StorageError } from '../errors.ts'
import { migrateIn, migrateOut } from '../qemu/migration.ts'
import * as records from '../store/records.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'

export const STATE_MS = 600_000
const MB = 2 ** 20
/** What devices add to the RAM. */
export const DEVICES_MB = 64
const PERIPHERAL = '/machine/peripheral'

/** How a running machine is put together. */
export async function shapeOf(handle: Live, machine: Machine): Promise<Shape> {
  // of QEMU's own model: what query-pci says the guest has to have found before
  const devices = await handle.ask<{ name: string }[]>('qom-list', { path: PERIPHERAL })
  const slots = await Promise.all(
    devices
      .filter(({ name }) => /^d-/.test(name))
      .map(async ({ name }) => {
        const device = { path: `${PERIPHERAL}/${name}`, property: 'parent_bus' }
        const bus = await handle.ask<string>('qom-get', device)
        return { disk: name.slice(2), slot: Number(/\/port(\d+)$/.exec(bus)?.[1]) }
      })
  )
  const { ramMb, cpu, spec } = machine
  return { ramMb, cpu, slots, ...(spec.hasNetwork === true ? { hasNetwork: true } : {}) }
}

/** Writes what a guest that stands still has in its memory into a new file. */
export async function saveMemory(context: Context, handle: Live, machine: Machine): Promise<Memory> {
  const layer = randomUUID()
  const { bavail, bsize } = await statfs(context.folder)
  const most = (machine.ramMb + DEVICES_MB) * MB
  if (bavail * bsize < most) throw new StorageError(`this host has no room for ${machine.ramMb} MB of memory`)
  const file = context.layerFile(layer)
  await records.insertLayer(context.database, layer, undefined, machine.owner)
  try {
    const shape = await shapeOf(handle, machine)
    const run = join(context.machineFolder(machine.uuid), 'run')
    await migrateOut(
      handle,
      run,
      state => pipeline(state, atMost(most), createWriteStream(file, { mode: 0o600, flush: true })),
      STATE_MS
    )
    return { ...shape, layer }
  } catch (error) {
    await dropLayer(context, layer)
    throw error
  }
}

/** Lets a machine that was launched for it go on where the memory was saved; where it cannot, its QEMU is ended. */
export async function loadMemory(context: Context, handle: Live, uuid: Uuid, memory: Memory): Promise<void> {
  const run = join(context.machineFolder(uuid), 'run')
  try {
    await migrateIn(handle, run, createReadStream(context.layerFile(memory.layer)), STATE_MS)
    await handle.ask('cont')
  } catch (error) {
    // half a guest is none
    await handle.end(true)
    throw error
  }
}

/** A guest that runs has found out what its processor can do, and goes on only on the same. */
export function processorOf({ programs }: Context): string {
  return programs.accelerator === 'tcg' ? 'tcg' : (cpus()[0]?.model ?? 'unknown').slice(0, 200)
}

/** What nothing needs any more; the row goes last, so that a crash finds the rest. */
export async function dropLayer(context: Context, layer: Uuid): Promise<void> {
  await rm(context.layerFile(layer), { force: true })
  await context.database.query('DELETE FROM layers WHERE uuid = $1', layer)
}

function atMost(bytes: number): Transform {
  let left = bytes
  return new Transform({
    transform(chunk: Buffer, _, done) {
      left -= chunk.length
      done(left < 0 ? new StorageError(`the state of the guest has more than ${bytes} bytes`) : null, chunk)
    }
  })
}
