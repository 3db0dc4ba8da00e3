import { LineError } from '../errors.ts'
import { hasParity, type Parity, type Run, setParity, TERMIOS_BYTES } from './parity.ts'

/** start, eight of data, wake-up, stop */
const BITS = 11
/** beside the time that bytes take on the wire: a driver passes them on a little later */
const SLACK_US = 127
/** a machine forgets a message with a longer pause in it */
const MAX_GAP_MS = 5
const NOW = 0

/** What of the C library is called; each gives −1 where it fails. */
export interface Libc {
  tcgetattr(fd: number, termios: Buffer): number
  tcsetattr(fd: number, when: number, termios: Buffer): number
  write(fd: number, bytes: Buffer, count: number): number
  usleep(us: number): number
}

/**
 * Asks the driver for each parity, and looks whether it has it then: a pseudo terminal and some adapters say yes, and
 * leave it out.
 *
 * @throws {LineError}
 */
export function checkParities(libc: Libc, fd: number, name: string, parities: readonly Parity[]): void {
  for (const parity of parities) {
    const termios = Buffer.alloc(TERMIOS_BYTES)
    const isSet = libc.tcgetattr(fd, termios) === 0 && setFor(libc, fd, termios, parity) === 0
    const found = Buffer.alloc(TERMIOS_BYTES)
    if (!isSet || libc.tcgetattr(fd, found) !== 0 || !hasParity(found, parity))
      throw new LineError(
        `${name} does not take ${parity} parity: its driver leaves it out; set sas.wakeUp to another way`
      )
  }
}

/**
 * Sends a message, and stands still meanwhile: what comes between two of its bytes makes the machine forget it. Each run
 * is given the time to leave before the parity changes.
 *
 * @returns isLate: the pause between two of its bytes was longer than a machine waits
 * @throws {LineError}
 */
export function sendRuns(
  libc: Libc,
  { fd, name, baudRate }: { fd: number; name: string; baudRate: number },
  runs: readonly Run[]
): { isLate: boolean } {
  const byteMs = (BITS * 1000) / baudRate
  const termios = Buffer.alloc(TERMIOS_BYTES)
  if (libc.tcgetattr(fd, termios) !== 0) throw new LineError(`${name} is gone`)
  let isLate = false
  let leftAt = Number.POSITIVE_INFINITY
  for (const [i, { parity, bytes }] of runs.entries()) {
    if (setFor(libc, fd, termios, parity) !== 0)
      throw new LineError(`${name} takes no ${parity} parity any more`)
    if (performance.now() - leftAt > MAX_GAP_MS) isLate = true
    const written = libc.write(fd, Buffer.from(bytes), bytes.length)
    if (written !== bytes.length) throw new LineError(`${name} took ${written} of ${bytes.length} bytes`)
    leftAt = performance.now() + bytes.length * byteMs
    if (i < runs.length - 1) libc.usleep(Math.ceil(bytes.length * byteMs * 1000) + SLACK_US)
  }
  return { isLate }
}

function setFor(libc: Libc, fd: number, termios: Buffer, parity: Parity): number {
  setParity(termios, parity)
  return libc.tcsetattr(fd, NOW, termios)
}
