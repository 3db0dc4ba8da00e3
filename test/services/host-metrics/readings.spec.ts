import { deepEqual, equal, ok } from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { measure } from '../../../services/host-metrics/measure.ts'
import {
  availableMemory,
  type Measured,
  networkBytes,
  readingsBetween
} from '../../../services/host-metrics/readings.ts'

const measured = (changed: Partial<Measured>): Measured => ({
  atMs: 0,
  busyMs: 0,
  idleMs: 0,
  load: 0,
  memoryBytes: 1000,
  availableBytes: 250,
  diskBlocks: 200,
  availableBlocks: 50,
  uptimeS: 7,
  ...changed
})

describe('host metrics', () => {
  it('are shares and rates of the time between two samples', () => {
    const before = measured({ busyMs: 100, idleMs: 900, network: { received: 1_000, sent: 10 } })
    const after = measured({
      atMs: 2_000,
      busyMs: 400,
      idleMs: 1_600,
      load: 1.234,
      network: { received: 5_000, sent: 10 },
      temperature: 41.006
    })
    deepEqual(readingsBetween(before, after), {
      cpu: 30,
      load: 1.23,
      memory: 75,
      disk: 75,
      received: 2_000,
      sent: 0,
      temperature: 41.01,
      uptime: 7
    })
  })

  it('leave out what a machine does not have, and never count backwards', () => {
    const before = measured({ network: { received: 9, sent: 9 } })
    const after = measured({ atMs: 1_000, network: { received: 0, sent: 0 } })
    deepEqual(readingsBetween(before, after), {
      load: 0,
      memory: 75,
      disk: 75,
      received: 0,
      sent: 0,
      uptime: 7
    })
  })

  it('are read as proc(5) writes them', () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0
  eth0: 1296      12    0    0    0     0          0         0      732       9    0    0    0     0       0          0
 wlan0:4 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
`
    deepEqual(networkBytes(text), { received: 1_300, sent: 738 })
    equal(networkBytes(''), undefined)
    equal(availableMemory('MemTotal:  8 kB\nMemAvailable:   3 kB\n'), 3 * 1024)
  })

  it('exist on this machine', async () => {
    const { memory, disk } = readingsBetween(await measure(tmpdir()), await measure(tmpdir()))
    ok(memory! > 0 && memory! <= 100 && disk! > 0 && disk! <= 100)
  })
})
