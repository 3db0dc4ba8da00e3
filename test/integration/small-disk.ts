import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from './processes.ts'

const FILLER = 'filler'
const BLOCK = new Uint8Array(1 << 16)

/**
 * A folder on a disk of its own, which can be filled: a tmpfs in a mount namespace of a process of its own, so it needs
 * no rights and is gone when that process ends. A node sees it when it is started `inside`.
 */
export class SmallDisk {
  readonly #holder: ChildProcess
  readonly #folder: string

  private constructor(holder: ChildProcess, folder: string) {
    this.#holder = holder
    this.#folder = folder
  }

  /** `folder`: an empty one, over which the disk is mounted */
  static async create(folder: string, megabytes: number): Promise<SmallDisk> {
    const script = 'mount -t tmpfs -o "size=$1m" tmpfs "$2" && echo mounted && exec sleep infinity'
    const holder = spawn(
      'unshare',
      ['--user', '--map-root-user', '--mount', 'sh', '-euc', script, 'sh', String(megabytes), folder],
      { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    const disk = new SmallDisk(holder, folder)
    let said = ''
    holder.stdout!.on('data', data => (said += data))
    await until('the disk is mounted', () => said.includes('mounted'))
    return disk
  }

  /** the command that runs a program where the disk is seen */
  get inside(): string[] {
    const pid = String(this.#holder.pid)
    return ['nsenter', '--user', '--mount', '--preserve-credentials', '--target', pid, '--']
  }

  /** where others see the folder */
  get path(): string {
    return join(`/proc/${this.#holder.pid}/root`, this.#folder)
  }

  /** Takes all room that is left, to the last byte. */
  async fill(): Promise<void> {
    const file = await open(join(this.path, FILLER), 'a')
    try {
      for (let size = BLOCK.length; size >= 1; ) {
        try {
          await file.write(BLOCK, 0, size)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
          size >>= 1
        }
      }
    } finally {
      await file.close()
    }
  }

  async makeRoom(): Promise<void> {
    await rm(join(this.path, FILLER))
  }

  async stop(): Promise<void> {
    if (this.#holder.exitCode != null || this.#holder.signalCode != null) return
    const ended = once(this.#holder, 'exit')
    this.#holder.kill('SIGKILL')
    await ended
  }
}
