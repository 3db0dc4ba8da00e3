import { readdir, readFile, statfs } from 'node:fs/promises'
import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os'
import { availableMemory, type Measured, networkBytes } from './readings.ts'

const ZONES = '/sys/class/thermal'

/** Everything as it is now; what this machine does not have is left out. `folder` lies on the disk that is looked at. */
export async function measure(folder: string): Promise<Measured> {
  const times = cpus().map(({ times }) => times)
  const [memory, network, disk, temperature] = await Promise.all([
    textOf('/proc/meminfo'),
    textOf('/proc/net/dev'),
    statfs(folder),
    hottest()
  ])
  return {
    atMs: performance.now(),
    busyMs: times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0),
    idleMs: times.reduce((sum, { idle }) => sum + idle, 0),
    load: loadavg()[0]!,
    memoryBytes: totalmem(),
    // what the system would give back at once is not used
    availableBytes: availableMemory(memory) ?? freemem(),
    diskBlocks: disk.blocks,
    availableBlocks: disk.bavail,
    network: networkBytes(network),
    temperature,
    uptimeS: Math.floor(uptime())
  }
}

async function hottest(): Promise<number | undefined> {
  let zones: string[]
  try {
    zones = (await readdir(ZONES)).filter(name => name.startsWith('thermal_zone'))
  } catch {
    // no Linux, or a virtual machine
    return undefined
  }
  const all = await Promise.all(zones.map(zone => textOf(`${ZONES}/${zone}/temp`)))
  const degrees = all.map(text => Number.parseInt(text, 10) / 1000).filter(Number.isFinite)
  return degrees.length === 0 ? undefined : Math.max(...degrees)
}

/** A file of the kernel; empty where this system does not have it. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    // asked for on every system; the reading is left out
    return ''
  }
}
