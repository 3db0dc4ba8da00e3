import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { link, mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { startDeadline } from '../../host/index.ts'
import type { Uuid } from '../contract.ts'
import { QemuError } from '../errors.ts'
import { filesOf, INSIDE, type Launch, qemuArguments } from './arguments.ts'
import { FILTER_FD, filteredCommand, giveFilter, type Programs, walledCommand } from './walls.ts'

/** A process is the one that was started only while its pid and its start time are both the same. */
export interface Identity {
  pid: number
  /** clock ticks since boot, field 22 of /proc/PID/stat */
  startTime: string
}

/** A busy machine takes seconds for it. */
const SPAWN_MS = 60_000
const INFO_FD = FILTER_FD + 1

/** Starts QEMU behind the walls as a process that outlives this one. @throws QemuError with its complaint */
export async function launchQemu(
  programs: Programs,
  folders: { run: string; layer: (uuid: Uuid) => string; log: string },
  launch: Launch
): Promise<Identity> {
  await rm(folders.run, { recursive: true, force: true })
  await mkdir(folders.run, { recursive: true, mode: 0o700 })
  const { readOnly, writable } = filesOf(launch)
  const bind = (isWritable: boolean) => (uuid: Uuid) => ({
    from: folders.layer(uuid),
    to: `${INSIDE.layers}/${uuid}`,
    isWritable
  })
  const walled = walledCommand(
    programs,
    [
      { from: folders.run, to: INSIDE.run, isWritable: true },
      ...readOnly.map(bind(false)),
      ...writable.map(bind(true))
    ],
    [programs.qemu, ...qemuArguments(launch)]
  )
  const command = filteredCommand(programs, walled)
  command.splice(command.indexOf(programs.bwrap) + 1, 0, '--info-fd', String(INFO_FD))
  const log = openSync(folders.log, 'w', 0o600)
  try {
    const child = spawn(command[0]!, command.slice(1), {
      env: {},
      detached: true,
      stdio: ['ignore', log, log, 'pipe', 'pipe']
    })
    child.unref()
    giveFilter(child)
    const info = child.stdio[INFO_FD] as NodeJS.ReadableStream
    let text = ''
    const pid = await new Promise<number>((resolve, reject) => {
      const timer = startDeadline(SPAWN_MS, () => {
        // nobody would know of what it starts
        child.kill('SIGKILL')
        reject(new QemuError(`bwrap started nothing within ${SPAWN_MS} ms`))
      })
      const settle = (then: () => void) => {
        timer.stop()
        then()
      }
      info.on('data', data => {
        if (text.length < 1_000) text += data
        const found = /"child-pid": (\d+)/.exec(text)
        if (found !== null) settle(() => resolve(Number(found[1])))
      })
      child.once('error', error => settle(() => reject(error)))
      child.once('close', () =>
        settle(() => reject(new QemuError(`QEMU did not start: ${complaint(folders.log)}`)))
      )
    })
    const startTime = startTimeOf(pid)
    if (startTime === undefined) throw new QemuError(`QEMU ended at once: ${complaint(folders.log)}`)
    return { pid, startTime }
  } finally {
    closeSync(log)
  }
}

/** The last lines that QEMU wrote, cleaned for a message. */
export function complaint(log: string): string {
  try {
    return readFileSync(log, 'utf8')
      .slice(-400)
      .replace(/[^\x20-\x7e]+/g, ' ')
      .trim()
  } catch {
    return 'it left no log'
  }
}

/** Undefined where the process has ended or is a zombie. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // the name in parentheses may hold anything, also parentheses
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

export function isAlive({ pid, startTime }: Identity): boolean {
  return startTimeOf(pid) === startTime
}

/** SIGKILL to this process and no other that got its number since. */
export function kill(identity: Identity): void {
  if (!isAlive(identity)) return
  try {
    process.kill(identity.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * Every QEMU of this user that names one of these machines: what a node that was killed has left running. The name of
 * the program keeps bwrap, which has the same words in its command line, out.
 */
export function findRunning(qemu: string, uuids: ReadonlySet<Uuid>): Map<Uuid, Identity> {
  const found = new Map<Uuid, Identity>()
  const uid = process.getuid!()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const pid = Number(entry)
    try {
      if (statSync(`/proc/${pid}`).uid !== uid && uid !== 0) continue
      const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      const uuid = args[args.indexOf('-uuid') + 1]
      const startTime = startTimeOf(pid)
      if (program === qemu && uuid !== undefined && uuids.has(uuid) && startTime !== undefined)
        found.set(uuid, { pid, startTime })
    } catch (error) {
      if (!['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
  return found
}

/** Sockets of a machine as this side sees them. */
export const sockets = (run: string) => ({
  qmp: join(run, 'qmp.sock'),
  serial: join(run, 'serial.sock'),
  net: join(run, 'net.sock')
})

/** Shows a file to a machine that runs already: its folder is inside the walls, a second name there is enough. */
export async function linkInto(file: string, machineFolder: string): Promise<void> {
  await link(file, join(machineFolder, 'run', basename(file)))
}
