import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { matches } from '../alerts/rule.ts'

/** Lines `DEVICES COMMANDS`, with * for anything: what may move money or replace programs at this node. */
export const SWITCH_FILE = 'risk-3'
const MAX_CHARS = 64 * 1024

/**
 * Whether the file of this machine's owner allows a command of risk 3; no command and no document writes it. Where it is
 * not there, or not its owner's alone: no.
 */
export async function isSwitchedOn(folder: string, device: string, name: string): Promise<boolean> {
  try {
    await using file = await open(join(folder, SWITCH_FILE))
    const { mode, size } = await file.stat()
    if ((mode & 0o077) !== 0 || size > MAX_CHARS) return false
    return (await file.readFile('utf8'))
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .some(([devices = '', commands = '']) => matches(devices, device) && matches(commands, name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
