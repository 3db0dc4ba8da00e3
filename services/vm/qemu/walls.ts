import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { librariesOf } from '../../../sandbox/index.ts'
import { HostUnfitError } from '../errors.ts'
import { machineFilter } from './seccomp.ts'

const DESCRIPTORS = 1024
/**
 * 512 MB that qemu-img can write to. Address space is no measure: glibc reserves 64 MB of it for each arena, eight
 * arenas a processor. Its 64 worker threads have stacks of this size, which count.
 */
const MEMORY = ['--data=536870912', '--stack=1048576']
const ONE_ARENA = ['--setenv', 'MALLOC_ARENA_MAX', '1']
/** What programs of Debian and Arch read beside their libraries: firmware and the modules of accelerators. */
const FIRMWARE = ['/usr/share/qemu', '/usr/share/seabios', '/usr/lib/ipxe', '/usr/lib/x86_64-linux-gnu/qemu']

/** Programs that a host of machines needs, with everything that has to be visible inside the walls. */
export interface Programs {
  bwrap: string
  prlimit: string
  qemu: string
  qemuImg: string
  /** read-only inside */
  files: readonly string[]
  accelerator: 'kvm' | 'tcg'
}

/**
 * Looks for the programs and for /dev/kvm.
 * @throws HostUnfitError that names what is missing and how to get it
 */
export async function findPrograms(path = process.env.PATH ?? ''): Promise<Programs> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new HostUnfitError(`machines run on Linux x64 only; this is ${process.platform} ${process.arch}`)
  const folders = [...path.split(delimiter), '/usr/bin', '/bin'].filter(isAbsolute)
  const find = (name: string, debian: string) => {
    const found = folders.map(folder => join(folder, name)).find(isExecutable)
    if (found === undefined) throw new HostUnfitError(`${name} is missing; apt-get install ${debian}`)
    return found
  }
  const qemu = find('qemu-system-x86_64', 'qemu-system-x86')
  const qemuImg = find('qemu-img', 'qemu-utils')
  const programs = {
    bwrap: find('bwrap', 'bubblewrap'),
    prlimit: find('prlimit', 'util-linux'),
    qemu,
    qemuImg
  }
  const modules = FIRMWARE.filter(existsSync)
  const accelModule = '/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so'
  const binaries = [qemu, qemuImg, accelModule].filter(existsSync)
  const libraries = await Promise.all(binaries.map(librariesOf))
  const opensKvm = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false
  )
  // a kernel that is itself a guest may offer /dev/kvm without a processor behind it (kvm_pvm): no usual guest boots
  const hasKvm = opensKvm && ['kvm_intel', 'kvm_amd'].some(module => existsSync(`/sys/module/${module}`))
  return {
    ...programs,
    files: [...new Set([qemu, qemuImg, ...libraries.flat(), ...modules])],
    accelerator: hasKvm ? 'kvm' : 'tcg'
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // perhaps in the next folder
  }
}

export interface Bind {
  from: string
  to: string
  isWritable: boolean
}

/**
 * The command that starts a program inside: its own user, mount, pid, network, ipc and uts namespace and no way to
 * another one, no capabilities, an empty environment; visible are libraries, firmware, /dev/null, /dev/kvm where it is used, and the
 * named files. Without /dev/null QEMU's image locks are silently off.
 */
export function walledCommand(
  programs: Programs,
  binds: readonly Bind[],
  command: readonly string[],
  limits: readonly string[] = []
): string[] {
  const devices = ['/dev/null', ...(programs.accelerator === 'kvm' ? ['/dev/kvm'] : [])]
  return [
    programs.prlimit,
    ...['--core=0', `--nofile=${DESCRIPTORS}`, ...limits, '--'],
    programs.bwrap,
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--new-session', '--as-pid-1'],
    ...['--cap-drop', 'ALL', '--clearenv', '--hostname', 'artel'],
    ...programs.files.flatMap(file => ['--ro-bind', realpathSync.native(file), file]),
    ...devices.flatMap(device => ['--dev-bind', device, device]),
    ...binds.flatMap(({ from, to, isWritable }) => [isWritable ? '--bind' : '--ro-bind', from, to]),
    ...['--remount-ro', '/', '--chdir', '/'],
    ...command
  ]
}

/** Where a filtered command reads which system calls it may make. */
export const FILTER_FD = 3

/** A walled command that may make the system calls of a machine and no others. */
export function filteredCommand({ bwrap }: Programs, walled: readonly string[]): string[] {
  return walled.toSpliced(walled.indexOf(bwrap) + 1, 0, '--seccomp', String(FILTER_FD))
}

/** Whoever spawns a filtered command gives it a pipe there, and this into it. */
export function giveFilter(child: ChildProcess): void {
  const pipe = child.stdio[FILTER_FD] as NodeJS.WritableStream
  pipe.on('error', () => {}) // bwrap ended before it read it; its own end is what the caller sees
  pipe.end(machineFilter())
}

/** Runs qemu-img inside the walls, to its end. @throws Error with its words, and what it exited with as `exit` */
export function runWalled(
  programs: Programs,
  binds: readonly Bind[],
  args: readonly string[],
  { signal, ms = 30_000, fileBytes }: { signal?: AbortSignal; ms?: number; fileBytes?: number } = {}
): Promise<string> {
  const limits = [...MEMORY, ...(fileBytes === undefined ? [] : [`--fsize=${fileBytes}`])]
  const command = [...ONE_ARENA, programs.qemuImg, ...args]
  const [file, ...rest] = filteredCommand(programs, walledCommand(programs, binds, command, limits))
  // nobody waits for what it writes where the node is gone
  rest.splice(rest.indexOf(programs.bwrap) + 1, 0, '--die-with-parent')
  const deadline = AbortSignal.timeout(ms)
  return new Promise((resolve, reject) => {
    const child = spawn(file!, rest, {
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      killSignal: 'SIGKILL'
    })
    giveFilter(child)
    let out = ''
    let complaint = ''
    child.stdout!.on('data', (data: Buffer) => {
      if (out.length < 1 << 20) out += data
    })
    child.stderr!.on('data', (data: Buffer) => {
      if (complaint.length < 2_000) complaint += data
    })
    child.once('error', reject)
    child.once('close', code =>
      code === 0
        ? resolve(out)
        : reject(Object.assign(new Error(complaint.trim() || `exit ${code}`), { exit: code }))
    )
  })
}
