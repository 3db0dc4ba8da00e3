import { arch, availableParallelism, hostname, release, totalmem } from 'node:os'
import type { HostOf, ServiceOf } from '../host/index.ts'
import type { declaration } from './declaration.ts'
import { measure } from './measure.ts'
import { readingsBetween } from './readings.ts'

type Declared = typeof declaration

/** Samples of this computer, as a device of the service `devices`. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  const device = await host.use.devices.open({
    kind: 'host',
    serial: host.peers.self,
    name: hostname(),
    facts: { arch: arch(), kernel: release(), processors: availableParallelism(), memoryBytes: totalmem() },
    readings: {
      cpu: { type: 'number', unit: '%' },
      load: { type: 'number' },
      memory: { type: 'number', unit: '%' },
      disk: { type: 'number', unit: '%' },
      received: { type: 'number', unit: 'bytes/s' },
      sent: { type: 'number', unit: 'bytes/s' },
      temperature: { type: 'number', unit: '°C' },
      uptime: { type: 'number', unit: 's' }
    },
    events: { started: { class: 'event' } }
  })
  let before = await measure(host.folder)
  return {
    operations: {
      now: async () => ({ readings: readingsBetween(before, await measure(host.folder)) })
    },
    async start() {
      await device.event('started', { uptime: before.uptimeS })
      host.repeat('samples', host.config.everySeconds * 1000, async () => {
        const after = await measure(host.folder)
        await device.sample(readingsBetween(before, after))
        before = after
      })
    },
    stop: () => device.close()
  }
}
