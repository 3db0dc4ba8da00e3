import { readFile, rm, writeFile } from 'node:fs/promises'
import koffi from 'koffi'

export interface WatchdogInit {
  /** stands there while the process runs, with the boot of the machine in it */
  file: string
  boot: string
  /** that the process may stand still */
  seconds: number
}

/**
 * The kernel ends this process by SIGALRM where it does not beat in time, whatever holds it up. Costs no process and no
 * thread, which a small board would feel.
 */
export async function startWatchdog({ file, boot, seconds }: WatchdogInit) {
  const alarm = koffi.load(null).func('unsigned int alarm(unsigned int seconds)')
  // a machine that lost its power has begun another boot
  const wasCutOff = (await readFile(file, 'utf8').catch(() => '')) === boot
  await writeFile(file, boot, { mode: 0o600 })
  const beat = (): void => void alarm(seconds)
  beat()
  return {
    /** the process before this one was ended by something else than itself */
    wasCutOff,
    beat,
    async end(): Promise<void> {
      alarm(0)
      await rm(file, { force: true })
    }
  }
}

export type Watchdog = Awaited<ReturnType<typeof startWatchdog>>
