import type { Device, Devices } from '../../../services/devices/index.ts'
import { declare, service } from '../../../services/index.ts'

/** A driver of one device, and the device once the driver has opened it. */
export function driverOf(device: Parameters<Devices['open']>[0]) {
  const opened = Promise.withResolvers<Device>()
  const driver = service(
    declare({ name: 'one-device', version: 1, summary: 'd', operations: {}, needs: ['devices'] }),
    async () => async host => ({
      operations: {},
      start() {
        const { open } = (host.use as { devices: Devices }).devices
        host.repeat('opening', 1e9, async () => opened.resolve(await open(device)))
      }
    })
  )
  return { driver, opened: opened.promise }
}
