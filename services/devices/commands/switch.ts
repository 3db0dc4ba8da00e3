import { join } from 'node:path'
import { readOwnFile } from '../../host/index.ts'
import { matches } from '../alerts/rule.ts'
import type { Log } from '../context.ts'

/** Lines `DEVICES COMMANDS`, with * for anything: what may move money or replace programs at this node. */
export const SWITCH_FILE = 'risk-3'
const MAX_BYTES = 64 * 1024

/**
 * Whether the file of this machine's owner allows a command of risk 3; no command and no document writes it. Where it is
 * not there, or not its owner's alone: no.
 */
export async function isSwitchedOn(
  folder: string,
  { device, name }: { device: string; name: string },
  log: Log
): Promise<boolean> {
  try {
    return (await readOwnFile(join(folder, SWITCH_FILE), MAX_BYTES))
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .some(([devices = '', commands = '']) => matches(devices, device) && matches(commands, name))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // whoever runs this node hears what is wrong with it; who asks need not know
    if (code !== 'ENOENT') log.error('the file %s does not count: %s', SWITCH_FILE, message)
    return false
  }
}
