import { deepEqual, equal, match } from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../../bootstrap/nodes.ts'
import { SmallDisk } from '../../integration/small-disk.ts'
import { Processes } from '../../node/processes.ts'

const DISK_MIB = 8

describe('devices: a full disk', function () {
  this.timeout(600_000)
  let processes: Processes
  let disk: SmallDisk
  before(async () => {
    processes = await Processes.create()
    await mkdir(processes.path('node'))
    disk = await SmallDisk.create(processes.path('node'), DISK_MIB)
  })
  after(async () => {
    await processes.stop()
    await disk.stop()
  })

  it('does nothing that it cannot write, loses nothing, and goes on by itself once there is room', async () => {
    const { inside } = disk
    const args = [
      ...['--profile', 'device', '--listen', '/ip4/127.0.0.1/tcp/0', '--log-level', 'silent'],
      ...['--devices-enabled', '--host-metrics-enabled', '--host-metrics-every-seconds', '3600']
    ]
    const { id } = await processes.start('start', 'node', args, { inside }).ready
    async function ask<T>(...words: string[]): Promise<T> {
      const all = ['devices', ...words, '--json', '--data', processes.path('node')]
      const { stdout, stderr } = await processes.run(all, { inside })
      if (stdout === '') throw new Error(stderr)
      return JSON.parse(stdout) as T
    }
    interface Outcome {
      is: string
      why?: string
      result?: { memory: number }
    }
    const measure = () => ask<Outcome>('command', `host:${id}`, 'measure')
    const lastOf = async () => (await ask<{ own: { last: number } }>('status')).own.last
    // its driver starts after the node
    await until(async () => !/is not here/.test((await measure()).why ?? ''), 'the device is there')
    const first = await measure()
    equal(typeof first.result?.memory, 'number', first.why)

    await disk.fill()
    // the last page of the log has room for a few
    let full = await measure()
    for (let i = 0; full.is === 'done' && i < 10; i++) full = await measure()
    const before = await lastOf()
    equal(full.is, 'refused')
    match(full.why!, /log of this node is full/)

    await disk.makeRoom()
    equal((await measure()).is, 'done')
    equal(await lastOf(), before + 3, 'received, started, done')
    const path = join(processes.path('node'), 'log')
    await ask('export', path)
    const verdict = await ask<{ isRight: boolean; first: number }>('verify', path)
    deepEqual([verdict.isRight, verdict.first], [true, 0])
  })
})
