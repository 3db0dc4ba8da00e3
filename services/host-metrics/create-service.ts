import { arch, availableParallelism, hostname, release, totalmem } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { HostOf, ServiceOf } from '../host/index.ts'
import { type declaration, everySeconds as everySecondsOf } from './declaration.ts'
import { measure } from './measure.ts'
import { readingsBetween } from './readings.ts'

type Declared = typeof declaration

/** Samples of this computer, as a device of the service `devices`. */
export async function createService(host: HostOf<Declared>): Promise<ServiceOf<Declared>> {
  let { everySeconds } = host.config
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
    events: { started: { class: 'event' } },
    settings: {
      everySeconds: {
        type: 'number',
        now: () => everySeconds,
        set(value) {
          everySeconds = everySecondsOf.parse(value)
        }
      }
    },
    commands: {
      measure: {
        summary: 'What is measured now, beside what it is measured at its times',
        risk: 0,
        run: async () => readingsBetween(before, await measure(host.folder))
      }
    }
  })
  let before = await measure(host.folder)
  return {
    operations: {
      now: async () => ({ readings: readingsBetween(before, await measure(host.folder)) })
    },
    async start() {
      await device.event('started', { uptime: before.uptimeS })
      // the time between two can change while it runs
      host.repeat('samples', 0, async signal => {
        const after = await measure(host.folder)
        await device.sample(readingsBetween(before, after))
        before = after
        await delay(everySeconds * 1000, undefined, { signal })
      })
    },
    stop: () => device.close()
  }
}
