import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ReleaseError } from '../errors.ts'
import { freeSlot, programOf, type Slot, type SlotState, writeState } from './slots.ts'

const TEST_MS = 120_000

/**
 * Unpacks a package whose hash was looked at where nothing runs from, and has it say its version. What stands on the disk
 * about releases says each step before it is taken.
 *
 * @throws {ReleaseError} it cannot be unpacked, or does not even say its version
 */
export async function unpackRelease(
  folder: string,
  state: SlotState,
  { version, sha256, path }: { version: string; sha256: string; path: string }
): Promise<{ slot: Slot; state: SlotState }> {
  const slot = freeSlot(state)
  const place = join(folder, slot)
  const { [slot]: _, ...rest } = state
  const without: SlotState = { ...rest, former: rest.former === slot ? undefined : rest.former }
  await writeState(folder, without)
  await rm(place, { recursive: true, force: true })
  const draft = `${place}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { mode: 0o700 })
  try {
    await run('tar', ['-xzf', path, '-C', draft, '--no-same-owner'])
    await run(process.execPath, [await programOf(draft), '--version'])
  } catch (error) {
    throw new ReleaseError(`it does not start: ${(error as Error).message.slice(0, 300)}`)
  }
  // all of its files: a cut of the power after this leaves no half release to be tried
  await run('sync', ['-f', draft])
  await rename(draft, place)
  const unpacked = { ...without, [slot]: { version, sha256 } }
  await writeState(folder, unpacked)
  return { slot, state: unpacked }
}

const run = (file: string, args: string[]) => promisify(execFile)(file, args, { timeout: TEST_MS })

/** SHA-256 of a file, in hex. */
export async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}
