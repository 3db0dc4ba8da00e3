import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { recover } from '../../../services/vm/machines/recover.ts'
import { TRASH_MS } from '../../../services/vm/machines/trash.ts'
import { type MachinesHost, OWNER, openMachines } from './machines-host.ts'

describe('what is kept of machines', () => {
  let host: MachinesHost
  let now = Date.parse('2026-03-01T12:00Z')
  const layers = () => readdir(join(host.folder, 'layers'))

  beforeEach(async () => {
    host = await openMachines({ now: () => now })
    const { registry, snapshots } = host
    await registry.auth(OWNER, 'one', '64', '1')
    await registry.addDisk(OWNER, 'd1', 'one', '1')
    await snapshots.take(OWNER, 'one', 's1')
    await host.schedules.set(OWNER, 'one', '0 3 * * *', 5)
    await registry.grant(OWNER, 'one', 'friend', 'viewer')
    await snapshots.clone(OWNER, 'one', 'two', 's1')
    await registry.auth(OWNER, 'gone', '32', '1')
    await registry.addDisk(OWNER, 'd2', 'gone', '2')
    await registry.remove(OWNER, 'gone')
  })
  afterEach(() => host.end())

  /** All that users see. */
  async function seen() {
    const { registry, snapshots } = host
    const withoutUuid = ({ uuid: _, ...rest }: { uuid: string }) => rest
    return {
      machines: (await registry.list(OWNER)).map(withoutUuid),
      friend: (await registry.list('friend')).map(withoutUuid),
      disks: await registry.listDisks(OWNER),
      checks: await registry.check(OWNER),
      snapshots: await snapshots.list(OWNER, 'one')
    }
  }

  it('a lost database is built again from the folders; what is damaged is named', async () => {
    const before = await seen()
    host = await host.again(async folder => {
      await rm(join(folder, 'vm.sqlite'), { force: true })
      // what changed last is in the common journal; of a machine that is gone, and of one that the power cut off
      const [name = 'changes-1.json'] = (await readdir(folder)).filter(name => name.startsWith('changes-'))
      const [lines = ''] = (await readFile(join(folder, name), 'utf8').catch(() => '')).split('\0')
      const gone = JSON.stringify({ machine: { uuid: randomUUID() } })
      await writeFile(join(folder, name), `${lines}${gone}\n{"machine":{"uuid":"`)
    })
    assert.deepEqual(await host.registry.list(OWNER), [])
    const machines = join(host.folder, 'machines')
    const [first, ...others] = await readdir(machines)
    assert.equal(others.length, 2)
    const file = join(machines, first!, 'machine.json')
    const told = await readFile(file, 'utf8')
    await writeFile(file, '{')
    const damaged = await recover(host.context, host.power)
    assert.deepEqual([damaged.machines.length, damaged.left.map(({ folder }) => folder)], [2, [first]])
    // the power went while the next one was written
    await writeFile(file, told + told.slice(0, 100))
    const whole = await recover(host.context, host.power)
    assert.deepEqual([whole.machines.length, whole.left], [1, []])
    assert.deepEqual(await seen(), before)
    assert.deepEqual(await recover(host.context, host.power), { machines: [], left: [] })
    await host.registry.restore(OWNER, 'gone')
    assert.ok((await host.registry.listDisks(OWNER)).some(({ id, vm }) => id === 'd2' && vm === 'gone'))
  })

  it('the trash is emptied after seven days, and of nothing but what lies in it', async () => {
    const { uuid } = (await host.registry.check(OWNER)).find(({ id }) => id === 'gone') as never
    await host.registry.removeDisk(OWNER, 'd1')
    const all = await layers()
    now += TRASH_MS - 1_000
    await host.trash.empty()
    assert.deepEqual(await layers(), all)
    now += 2_000
    await host.trash.empty()
    // the disk of the machine, and the top that was on the disk; its snapshot and the clone hold the rest
    assert.equal((await layers()).length, all.length - 2)
    await assert.rejects(host.registry.restore(OWNER, 'gone'), { name: 'NotFoundError' })
    assert.equal(existsSync(join(host.folder, 'machines', String(uuid))), false)
    for (const { id, isSound } of await host.registry.check(OWNER)) assert.ok(isSound, id)
    await host.snapshots.clone(OWNER, 'two', 'three')
  })
})
