/** What is read of a computer at one moment; counters count from its start. */
export interface Measured {
  atMs: number
  busyMs: number
  idleMs: number
  load: number
  memoryBytes: number
  availableBytes: number
  diskBlocks: number
  availableBlocks: number
  network?: { received: number; sent: number }
  /** °C */
  temperature?: number
  uptimeS: number
}

/** Shares in %, rates in bytes/s, of the time between two moments. Pure. */
export function readingsBetween(before: Measured, after: Measured): Record<string, number> {
  const busy = after.busyMs - before.busyMs
  const whole = busy + after.idleMs - before.idleMs
  const seconds = (after.atMs - before.atMs) / 1000
  const { network, temperature } = after
  const rate = (now: number, then: number): number => Math.max(0, Math.round((now - then) / seconds))
  return {
    ...(whole > 0 ? { cpu: percent(busy, whole) } : {}),
    load: round(after.load),
    memory: percent(after.memoryBytes - after.availableBytes, after.memoryBytes),
    disk: percent(after.diskBlocks - after.availableBlocks, after.diskBlocks),
    ...(network != null && before.network != null && seconds > 0
      ? {
          received: rate(network.received, before.network.received),
          sent: rate(network.sent, before.network.sent)
        }
      : {}),
    ...(temperature == null ? {} : { temperature: round(temperature) }),
    uptime: after.uptimeS
  }
}

const round = (value: number): number => Math.round(value * 100) / 100
const percent = (part: number, whole: number): number =>
  whole > 0 ? round(Math.min(100, Math.max(0, (100 * part) / whole))) : 0

/** Bytes of all interfaces but loopback, of /proc/net/dev: the first column behind the name, and the ninth. */
export function networkBytes(text: string): Measured['network'] {
  const rows = [...text.matchAll(/^\s*([^\s:]+):\s*(.+)$/gm)].filter(([, name]) => name !== 'lo')
  if (rows.length === 0) return undefined
  const sums = rows.map(([, , columns]) => columns!.trim().split(/\s+/).map(Number))
  return {
    received: sums.reduce((sum, columns) => sum + (columns[0] ?? 0), 0),
    sent: sums.reduce((sum, columns) => sum + (columns[8] ?? 0), 0)
  }
}

/** MemAvailable of /proc/meminfo, in bytes. */
export function availableMemory(text: string): number | undefined {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(text) ?? []
  return kilobytes == null ? undefined : Number(kilobytes) * 1024
}
