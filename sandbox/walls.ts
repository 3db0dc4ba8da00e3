import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import { type Child, createChild, MAX_THREADS, type Start } from './child.ts'
import { childMain, FRAME, FRAMES_FD, type RuntimeFiles } from './child-main.ts'
import type { Wall } from './contract.ts'
import { OPERATION } from './operation.ts'
import { canFilter, seccompFilter } from './seccomp.ts'

const NOFILE = 64 // the child needs about 25 descriptors
const FSIZE_BYTES = 1 << 20 // as large as the tmpfs
const TMPFS_BYTES = 1 << 20
const INFO_CHARS = 1_000 // what bwrap tells of the child; a few lines
const INSTALL = 'sudo bootstrap/install-debian-packages.sh installs it'

/** The program that holds isolated-vm, to be run inside the walls by this node. */
export interface Payload {
  /** source text for `node -e` */
  source: string
  /** flags of V8 */
  flags: string[]
  /** native modules it loads */
  addons: string[]
  /** data that it reads */
  files?: string[]
}

/**
 * What the child runs: one text, no files of ours, and the native module of isolated-vm. A child for a runtime reads those
 * of it.
 */
export function childPayload(flags: string[] = [], runtime?: RuntimeFiles): Payload {
  const require = createRequire(import.meta.url)
  const addon: string = createRequire(require.resolve('isolated-vm'))('node-gyp-build').path(
    join(require.resolve('isolated-vm'), '..')
  )
  return {
    source: `"use strict";(${childMain})(require,${JSON.stringify(addon)},${JSON.stringify(FRAME)},${FRAMES_FD},${JSON.stringify(OPERATION)},${JSON.stringify(runtime)})`,
    flags,
    addons: [addon],
    files: Object.values(runtime?.files ?? {})
  }
}

/** Starts payloads, behind the walls or without those of the operating system. */
export interface Launcher {
  readonly walls: readonly Wall[]
  /** `payload`: another one, of the same native modules */
  launch(walled: boolean, payload?: Payload, start?: Start): Promise<Child>
}

export interface Tools {
  bwrap?: string
  prlimit?: string
  setpriv?: string
}

/** Absolute paths of the programs that build the walls, as far as they are in these folders. */
export function findTools(path = `${process.env.PATH ?? ''}${delimiter}/usr/bin${delimiter}/bin`): Tools {
  const find = (name: string) => {
    for (const folder of path.split(delimiter).filter(isAbsolute)) {
      const file = join(folder, name)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {
        // not here, perhaps in the next folder
      }
    }
    return undefined
  }
  return { bwrap: find('bwrap'), prlimit: find('prlimit'), setpriv: find('setpriv') }
}

/** Shared libraries (and the loader) of a program as `ldd` names them: exactly what has to be visible inside. */
export async function librariesOf(file: string): Promise<string[]> {
  const output = await new Promise<string>((resolve, reject) => {
    execFile('ldd', [file], { timeout: 10_000 }, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })
  return [...output.matchAll(/(?:=>\s*|^\s*)(\/\S+)/gm)].map(match => match[1]!)
}

/** Flags of node in the child. */
function nodeFlags({ addons, flags, files = [] }: Payload): string[] {
  return [
    '--no-node-snapshot',
    '--v8-pool-size=2',
    ...flags,
    '--permission',
    '--allow-addons',
    ...[...addons, ...files].map(file => `--allow-fs-read=${file}`)
  ]
}

/**
 * Starts a command behind the walls of the operating system, where it sees these files and folders and nothing else. fd 3 carries
 * the filter, fd 4 the inner pid, fd 5 what the command writes.
 */
export function spawnWalled(
  tools: Required<Pick<Tools, 'bwrap' | 'prlimit'>>,
  files: string[],
  command: string[]
) {
  if (!canFilter(process.arch)) throw new RangeError(`no seccomp filter for ${process.arch}`)
  // what lies in a folder that is seen is seen with it
  const seen = files.filter(file => !files.some(folder => file.startsWith(`${folder}/`)))
  const folders = [
    ...new Set(seen.filter(file => file.startsWith('/tmp/')).map(file => dirname(file)))
  ].sort()
  const args = [
    '--core=0',
    `--nofile=${NOFILE}`,
    `--fsize=${FSIZE_BYTES}`,
    '--',
    tools.bwrap,
    '--unshare-all',
    '--die-with-parent',
    '--new-session',
    '--as-pid-1',
    ...['--cap-drop', 'ALL'],
    '--clearenv',
    ...['--hostname', 'artel'],
    ...['--size', String(TMPFS_BYTES), '--tmpfs', '/tmp'],
    // folders of a checkout below /tmp: empty but for the files, and as unwritable as everywhere else
    ...folders.flatMap(folder => ['--tmpfs', folder]),
    ...seen.flatMap(file => ['--ro-bind', realpathSync(file), file]),
    ...folders.flatMap(folder => ['--remount-ro', folder]),
    ...['--remount-ro', '/'],
    ...['--chdir', '/tmp'],
    ...['--seccomp', '3'],
    ...['--info-fd', '4'],
    ...command
  ]
  const child = spawn(tools.prlimit, args, { env: {}, stdio: Array(FRAMES_FD + 1).fill('pipe') })
  const filter = child.stdio[3] as NodeJS.WritableStream
  filter.on('error', () => {}) // bwrap ended before it read the filter; its own end is what the caller sees
  filter.end(seccompFilter(process.arch))
  let info = ''
  const pid = new Promise<number>((resolve, reject) => {
    ;(child.stdio[4] as NodeJS.ReadableStream).on('data', data => {
      if (info.length < INFO_CHARS) info += data
      const match = /"child-pid": (\d+)/.exec(info)
      if (match !== null) resolve(Number(match[1]))
    })
    child.once('close', () => reject(new Error('the child ended before it told its pid')))
    child.once('error', reject)
  })
  pid.catch(() => {}) // whoever asks for it sees it
  return { child, pid }
}

/** Starts it as an ordinary process: only for code that is trusted. It dies with this one where setpriv is there. */
function spawnBare(tools: Tools, nodeArgs: string[]): ChildProcess {
  const wrapper = tools.setpriv === undefined ? [] : [tools.setpriv, '--pdeathsig', 'KILL', '--']
  const [file, ...args] = [...wrapper, process.execPath, ...nodeArgs]
  return spawn(file!, args, { env: {}, stdio: ['pipe', 'pipe', 'pipe', 'ignore', 'ignore', 'pipe'] })
}

/**
 * Looks which walls this machine has, by starting a payload behind them and reading from outside what the kernel says
 * about that process: a wall counts only when it was seen standing.
 */
export async function buildWalls(payload: Payload, tools: Tools = findTools()): Promise<Launcher> {
  let files: string[] = []

  async function launch(walled: boolean, what = payload, start?: Start): Promise<Child> {
    const nodeArgs = [...nodeFlags(what), '-e', what.source]
    if (!walled) {
      const child = spawnBare(tools, nodeArgs)
      return createChild(child, async () => child.pid!, tools, start)
    }
    const seen = [...files, ...(what.files ?? [])]
    const { child, pid } = spawnWalled(tools as Required<Tools>, seen, [process.execPath, ...nodeArgs])
    return createChild(child, () => pid, tools, start)
  }

  let seen: Kernel = {}
  let complaint = ''
  if (process.platform === 'linux' && tools.bwrap && tools.prlimit && canFilter(process.arch)) {
    try {
      const libraries = await Promise.all([process.execPath, ...payload.addons].map(librariesOf))
      files = [...new Set([process.execPath, ...payload.addons, ...libraries.flat()])]
      const child = await launch(true)
      seen = whatTheKernelSays(child.pid)
      child.kill()
      await child.ended
    } catch (error) {
      complaint = (error as Error).message
    }
  }
  const walls = judge(seen, tools, complaint)
  return { walls, launch }
}

interface Kernel {
  /** lines of /proc/PID/status */
  status?: Record<string, string>
  /** namespaces that are not ours */
  namespaces?: string[]
  coreLimit?: string
}

const NAMESPACES = ['user', 'pid', 'net', 'mnt', 'ipc', 'uts']

function whatTheKernelSays(pid: number): Kernel {
  const status = Object.fromEntries(
    readFileSync(`/proc/${pid}/status`, 'utf8')
      .split('\n')
      .map(line => line.split(':\t', 2) as [string, string])
  )
  const own = (name: string) => readlinkSync(`/proc/self/ns/${name}`)
  // the links of a process in another user namespace may be hidden from us, which proves the same
  const other = (name: string) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/${name}`)
    } catch {
      return 'hidden'
    }
  }
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8')
  return {
    status,
    namespaces: NAMESPACES.filter(name => own(name) !== other(name)),
    coreLimit: /Max core file size\s+(\S+)/.exec(limits)?.[1]
  }
}

function judge({ status, namespaces = [], coreLimit }: Kernel, tools: Tools, complaint: string): Wall[] {
  const linux = process.platform === 'linux'
  const why = !linux
    ? `this is ${process.platform}; only Linux has these walls`
    : !canFilter(process.arch)
      ? `no seccomp filter for ${process.arch}`
      : tools.bwrap === undefined
        ? `bwrap (Debian package bubblewrap) is missing; ${INSTALL}`
        : tools.prlimit === undefined
          ? `prlimit (Debian package util-linux) is missing; ${INSTALL}`
          : `bwrap could not start the child: ${complaint.slice(0, 300)}; unprivileged user namespaces must be allowed (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)`
  const wall = (name: Wall['name'], present: boolean, found: string, missing = why): Wall => ({
    name,
    present,
    detail: present ? found : missing
  })
  const capabilities = ['CapPrm', 'CapEff', 'CapBnd'].every(set => /^0+$/.test(status?.[set] ?? ''))
  return [
    wall('isolate', true, `isolated-vm on V8 ${process.versions.v8}`),
    wall('process', true, 'one child per requester and program, thrown away afterwards'),
    wall(
      'limits',
      coreLimit === '0',
      `prlimit: memory by session, ${MAX_THREADS} threads, ${NOFILE} descriptors, files of ${FSIZE_BYTES} bytes, no core dumps`
    ),
    wall(
      'namespaces',
      namespaces.length === NAMESPACES.length && capabilities,
      `bwrap: own ${namespaces.join(', ')}; no capabilities, read-only root`
    ),
    wall(
      'seccomp',
      status?.Seccomp === '2' && status.NoNewPrivs === '1',
      'a filter of allowed system calls, no new privileges'
    ),
    wall('permission', true, 'node --permission: reads its own native module, nothing else'),
    wall(
      'watchdog',
      linux,
      'deadline, memory and threads from outside, SIGKILL',
      'memory is read from /proc of Linux'
    )
  ]
}
