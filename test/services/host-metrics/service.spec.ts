import { equal, ok } from 'node:assert/strict'
import { devices, hostMetrics, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'

describe('host metrics: beside the log', function () {
  this.timeout(600_000)

  it('say what is measured now, and what was written', async () => {
    await using host = await startHost({
      modules: [hostMetrics, devices],
      settings: { 'host-metrics': { everySeconds: 0.1 } }
    })
    const running = (): boolean => host.services.health().every(({ state }) => state === 'running')
    await until(running, 'both run')
    const call = <T>(service: string, operation: string): Promise<T> =>
      host.services.call(service, operation, {}, { caller: OWNER }) as Promise<T>
    const { readings } = await call<{ readings: Record<string, number> }>('host-metrics', 'now')
    ok(readings.memory! > 0 && readings.uptime! > 0)
    interface Item {
      id: string
      readings: Record<string, number>
    }
    let item: Item | undefined
    await until(async () => {
      item = (await call<{ items: Item[] }>('devices', 'list')).items[0]
      return item?.readings.memory != null
    }, 'the first sample is written')
    equal(item!.id, `host:${host.id}`)
    const { own, witnesses } = await call<{ own: { delivered: number }; witnesses: unknown[] }>(
      'devices',
      'status'
    )
    // without witnesses nothing is said to be delivered
    equal(own.delivered, -1)
    equal(witnesses.length, 0)
  })
})
