import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FakeDaemon } from './fake-daemon.ts'

const BIN = fileURLToPath(new URL('./bin', import.meta.url))
const POLL_MS = 20

/** What the fake `gpioset` holds, and TVs that have power while it does not hold their line. Set `PATH` for who uses it. */
export class FakeMains implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'artel-gpio-'))
  private readonly timers: NodeJS.Timeout[] = []

  /** for the environment of a node */
  get environment(): { PATH: string; FAKE_GPIO: string } {
    return { PATH: `${BIN}${delimiter}${process.env.PATH}`, FAKE_GPIO: this.folder }
  }

  /** The process that holds a line; undefined: none. */
  holder(chip: string, line: number): number | undefined {
    try {
      const pid = Number(readFileSync(join(this.folder, `${chip}-${line}`), 'utf8'))
      if (pid > 0) process.kill(pid, 0)
      return pid > 0 ? pid : undefined
    } catch {
      // nobody, or one who was killed
      return undefined
    }
  }

  /** What was called, in order. */
  calls(): string[] {
    try {
      return readFileSync(join(this.folder, 'log'), 'utf8').trim().split('\n').filter(Boolean)
    } catch {
      // nothing yet
      return []
    }
  }

  /** The power of a TV goes through a relay. */
  wire(daemon: FakeDaemon, chip: string, line: number): void {
    let busy = false
    const follow = async (): Promise<void> => {
      const hasPower = this.holder(chip, line) == null
      if (busy || hasPower === daemon.tv.hasPower) return
      busy = true
      if (hasPower) {
        daemon.tv.givePower()
        await daemon.listen()
      } else {
        daemon.tv.cutPower()
        await daemon[Symbol.asyncDispose]()
      }
      busy = false
    }
    this.timers.push(setInterval(() => void follow(), POLL_MS))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.timers) clearInterval(timer)
    // who holds a line outlives whoever asked for it
    for (const call of this.calls()) {
      const [, chip, line] = /(\S+) (\d+)=1$/.exec(call) ?? []
      const pid = chip == null ? undefined : this.holder(chip, Number(line))
      if (pid != null) process.kill(pid, 'SIGTERM')
    }
    // who is ended may still write his line
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}
