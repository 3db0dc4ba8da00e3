import type { Machine } from '../contract.ts'
import { StateError } from '../errors.ts'
import { checkImage, type ImageCheck } from '../qemu/images.ts'
import { disksOf } from '../store/records.ts'
import type { Context } from './context.ts'
import type { Live } from './live.ts'

/**
 * Looks at what each disk of a machine is written to. What is damaged is known from then on, and no longer once it is
 * looked at and sound.
 */
export async function lookAtDisks(
  context: Context,
  handle: Live,
  machine: Machine
): Promise<(ImageCheck & { id: string })[]> {
  const disks = await disksOf(context.database, machine.uuid)
  const checks = await Promise.all(
    disks.map(async ({ id, top }) => ({
      id,
      ...(await checkImage(context.programs, context.layerFile(top)))
    }))
  )
  // what is written to meanwhile may look damaged
  if (handle.observe().isAlive) return checks
  const damaged = checks.find(({ found }) => found === 'damaged')
  const before = handle.damage
  handle.damage =
    damaged &&
    `disk ${damaged.id} is damaged (${damaged.words}); bring a snapshot back (artel vm rollback ${machine.id} NAME), begin the disk anew (artel vm rebuild ${damaged.id} FILE) or remove it`
  if (handle.damage !== undefined && before === undefined)
    await context.note(machine.uuid, 'corrupt', handle.damage)
  return checks
}

/** After a damaged disk may have got another file. */
export async function lookAgain(context: Context, handle: Live, machine: Machine): Promise<void> {
  if (handle.damage !== undefined) await lookAtDisks(context, handle, machine)
}

/** @throws StateError where a disk is damaged, with what to do */
export async function needSound(context: Context, handle: Live, machine: Machine): Promise<void> {
  await lookAtDisks(context, handle, machine)
  if (handle.damage !== undefined) throw new StateError(machine.id, 'corrupt', handle.damage)
}
