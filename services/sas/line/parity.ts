/** How a plain serial adapter sets the wake-up bit, which is the ninth: by the parity that it adds. */
export const BY_PARITY = ['markSpace', 'evenOdd'] as const
export type ByParity = (typeof BY_PARITY)[number]
export type Parity = 'mark' | 'space' | 'even' | 'odd'

/** Bytes that go out with one parity. */
export interface Run {
  parity: Parity
  bytes: number[]
}

/** What a driver must know for it. */
export const PARITIES: Readonly<Record<ByParity, readonly Parity[]>> = {
  markSpace: ['mark', 'space'],
  evenOdd: ['even', 'odd']
}

/** A message cut where the parity changes. Even and odd depend on the byte, so they change more often. Pure. */
export function runsOf(message: readonly { byte: number; isWakeUp: boolean }[], by: ByParity): Run[] {
  const runs: Run[] = []
  for (const { byte, isWakeUp } of message) {
    const parity = parityFor(byte, isWakeUp, by)
    const last = runs.at(-1)
    if (last?.parity === parity) last.bytes.push(byte)
    else runs.push({ parity, bytes: [byte] })
  }
  return runs
}

function parityFor(byte: number, isWakeUp: boolean, by: ByParity): Parity {
  if (by === 'markSpace') return isWakeUp ? 'mark' : 'space'
  let isOdd = false
  for (let rest = byte; rest > 0; rest >>= 1) if ((rest & 1) === 1) isOdd = !isOdd
  // even parity sets the bit behind an odd number of ones
  return isOdd === isWakeUp ? 'even' : 'odd'
}

/** Of `struct termios` as Linux has it on these; others number the flags otherwise. */
export const ARCHITECTURES: readonly string[] = ['x64', 'ia32', 'arm64', 'arm', 'riscv64', 'loong64']
export const TERMIOS_BYTES = 60
const INPUT_FLAGS_AT = 0
const CONTROL_FLAGS_AT = 8
/** what looks at the parity of answers, whose bit is always clear, or cuts off a byte's eighth: INPCK, PARMRK, IGNPAR, ISTRIP */
const CHECKS = 0o20 | 0o10 | 0o4 | 0o40
const PARENB = 0o400
const PARODD = 0o1000
const CMSPAR = 0o10000000000
const FLAGS: Readonly<Record<Parity, number>> = {
  mark: PARENB | PARODD | CMSPAR,
  space: PARENB | CMSPAR,
  even: PARENB,
  odd: PARENB | PARODD
}

/** Sets the parity in a `struct termios`; the rest stays. */
export function setParity(termios: Buffer, parity: Parity): void {
  const input = termios.readUInt32LE(INPUT_FLAGS_AT)
  const control = termios.readUInt32LE(CONTROL_FLAGS_AT)
  termios.writeUInt32LE((input & ~CHECKS) >>> 0, INPUT_FLAGS_AT)
  termios.writeUInt32LE(((control & ~FLAGS.mark) | FLAGS[parity]) >>> 0, CONTROL_FLAGS_AT)
}

/** Whether it has that one. */
export const hasParity = (termios: Buffer, parity: Parity): boolean =>
  (termios.readUInt32LE(CONTROL_FLAGS_AT) & FLAGS.mark) === FLAGS[parity]
