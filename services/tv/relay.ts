import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { checkWayOut } from '../../bootstrap/way-out.ts'
import { TvFailedError } from './errors.ts'
import type { RelayPlace } from './place.ts'

const HOUR_MS = 3_600_000
const MAX_PER_HOUR = 6
/** shorter, and capacitors of a TV keep it up */
export const MIN_OFF_SECONDS = 10
/** gpioset says nothing once it holds the line, and ends at once where it cannot */
const HELD_AFTER_MS = 1_000
const POLL_MS = 50

/** What the relay lets through; unknown: this machine does not say who holds its line. */
export type LineState = 'on' | 'off' | 'unknown'

export interface Relay {
  readonly state: LineState
  /**
   * Cuts the power for so long: it comes back by itself then, also where this node has ended meanwhile.
   *
   * @throws {TvFailedError} too often within an hour, off already, or the line cannot be had
   */
  off(seconds: number): Promise<void>
  /** Lets the power through, not before it was off long enough. */
  on(signal: AbortSignal): Promise<void>
  /** resolves when the power is there again */
  isBack(signal: AbortSignal): Promise<void>
}

export interface RelayInit {
  place: RelayPlace
  /** with the table `cut` */
  db: DatabaseSync
  minOffSeconds?: number
  heldAfterMs?: number
  now(): number
}

/**
 * A relay that lets power through while nobody holds its line. `gpioset` holds it for a given time and then ends by
 * itself, so that no crash leaves a TV without power, nor gives it back too early. Who holds it is asked of this
 * machine, not of a file.
 */
export async function openRelay({
  place,
  db,
  minOffSeconds = MIN_OFF_SECONDS,
  heldAfterMs = HELD_AFTER_MS,
  now
}: RelayInit): Promise<Relay> {
  const { tv, chip, line, isActiveLow } = place
  const wanted = `${line}=1`
  const cuts = db.prepare('SELECT at FROM cut WHERE tv = ? AND at > ? ORDER BY at')
  const note = db.prepare('INSERT INTO cut (tv, at) VALUES (?, ?)')
  const forget = db.prepare('DELETE FROM cut WHERE at < ?')
  let isKnown = true
  let holder: number | undefined = await holderOf().catch(() => {
    isKnown = false
    return undefined
  })

  async function holderOf(): Promise<number | undefined> {
    return (await readdir('/proc'))
      .filter(name => /^\d+$/.test(name))
      .map(Number)
      .find(holds)
  }

  /** Asked of the machine each time: another process may have the number of one that has ended. */
  function holds(pid: number): boolean {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return words.some(word => /(^|\/)gpioset$/.test(word)) && words.includes(chip) && words.includes(wanted)
    } catch {
      // it has ended, and holds nothing
      return false
    }
  }

  function isHeld(): boolean {
    if (holder != null && !holds(holder)) holder = undefined
    return holder != null
  }

  async function isBack(signal: AbortSignal): Promise<void> {
    while (isHeld()) await delay(POLL_MS, undefined, { signal })
  }

  return {
    get state() {
      if (isHeld()) return 'off'
      return isKnown ? 'on' : 'unknown'
    },

    async off(seconds) {
      if (isHeld()) throw new TvFailedError(`${tv} has no power already`)
      const within = cuts.all(tv, now() - HOUR_MS) as { at: number }[]
      const [first] = within
      if (first != null && within.length >= MAX_PER_HOUR)
        throw new TvFailedError(
          `${tv} was cut off ${MAX_PER_HOUR} times within an hour; again from ${new Date(first.at + HOUR_MS).toISOString()}`
        )
      checkWayOut()
      // before it is done: a crash does not make it less often
      note.run(tv, now())
      forget.run(now() - HOUR_MS)
      const time = Math.max(seconds, minOffSeconds)
      const child = spawn(
        'gpioset',
        ['--mode=time', `--sec=${time}`, ...(isActiveLow ? ['--active-low'] : []), chip, wanted],
        { detached: true, stdio: ['ignore', 'ignore', 'pipe'] }
      )
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => {
        said = `${said}${chunk}`.slice(-300)
      })
      const failed = once(child, 'exit').then(
        // one that ends well has held it all its time, while this computer stood still
        ([code]) => (code === 0 ? undefined : said.trim() || `exit code ${code}`),
        (error: Error) => `${error.message}; apt-get install gpiod`
      )
      const why = await Promise.race([failed, delay(heldAfterMs)])
      if (why != null) throw new TvFailedError(`the relay of ${tv} at ${chip}:${line}: ${why}`)
      child.unref()
      ;(child.stderr as unknown as { unref(): void }).unref()
      holder = child.pid
      isKnown = true
    },

    async on(signal) {
      if (!isHeld()) return
      const { at } = (cuts.all(tv, 0) as { at: number }[]).at(-1) ?? { at: 0 }
      await delay(Math.max(0, at + minOffSeconds * 1000 - now()), undefined, { signal })
      if (isHeld()) process.kill(holder!, 'SIGTERM')
      await isBack(signal)
    },

    isBack
  }
}
