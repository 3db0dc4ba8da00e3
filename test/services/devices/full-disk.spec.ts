import { deepEqual, equal, match } from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { valve } from '../../../node/demo/valve.ts'
import { devices, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { SmallDisk } from '../../integration/small-disk.ts'
import { startHost } from '../host/start-host.ts'

const DISK_MIB = 8

describe('devices: a full disk', function () {
  this.timeout(180_000)
  let folder: string
  let disk: SmallDisk
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-full-'))
    await mkdir(join(folder, 'small'))
    disk = await SmallDisk.create(join(folder, 'small'), DISK_MIB)
  })
  after(async () => {
    await disk?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('does nothing that it cannot write, loses nothing, and goes on by itself once there is room', async () => {
    await using host = await startHost({ modules: [devices, valve], folder: disk.path })
    const call = <T>(operation: string, input: object): Promise<T> =>
      host.services.call('devices', operation, input, { caller: OWNER }) as Promise<T>
    const turn = (opening: number) =>
      call<{ is: string; why?: string }>('command', {
        ...{ device: 'valve:1', agent: host.id, name: 'turn', args: { opening } }
      })
    const lastOf = async (): Promise<number> => (await call<{ own: { last: number } }>('status', {})).own.last
    await until(async () => (await lastOf()) >= 1, 'the valve is there')
    equal((await turn(10)).is, 'done')
    const before = await lastOf()

    await disk.fill()
    const full = await turn(20)
    equal(full.is, 'refused')
    match(full.why!, /log of this node is full/)
    equal(await lastOf(), before)

    await disk.makeRoom()
    equal((await turn(30)).is, 'done')
    deepEqual((await readFile(join(disk.path, 'services/valve/done'), 'utf8')).trim().split('\n'), [
      'turn 10',
      'turn 30'
    ])
    const path = join(folder, 'log')
    await call('export', { path })
    const verdict = await call<{ isRight: boolean; first: number; last: number }>('verify', { path })
    deepEqual([verdict.isRight, verdict.first], [true, 0])
  })
})
