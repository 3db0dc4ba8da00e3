import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { deviceName } from '../../../services/vm/qemu/arguments.ts'
import { disksOf, insertLayer, setTop } from '../../../services/vm/store/records.ts'
import { booted, type MachinesHost, OWNER, openMachines, type, until } from './machines-host.ts'

describe('real machines', () => {
  let host: MachinesHost
  let uuid: string
  const state = async () => (await host.registry.show(OWNER, 'g1')).state
  const live = () => host.power.live(uuid)

  before(async function () {
    this.timeout(600_000)
    host = await openMachines()
    await host.registry.auth(OWNER, 'g1', '128', '1')
    await host.registry.addDisk(OWNER, 'd1', 'g1', '1')
    await host.bootsGuest('g1')
    uuid = (await host.registry.show(OWNER, 'g1')).uuid
    await host.power.start(OWNER, 'g1')
    await booted(host, uuid)
  })
  after(() => host?.end())

  it('stand behind walls: nothing of the host is visible from inside', () => {
    const { pid } = live().identity!
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    assert.match(status, /^CapEff:\t0+$/m)
    assert.match(status, /^CapBnd:\t0+$/m)
    assert.match(status, /^NoNewPrivs:\t1$/m)
    assert.match(status, /^Seccomp:\t2$/m)
    for (const name of ['user', 'mnt', 'pid', 'net', 'ipc', 'uts'])
      assert.notEqual(readlinkSync(`/proc/${pid}/ns/${name}`), readlinkSync(`/proc/self/ns/${name}`))
    assert.deepEqual(
      readdirSync(`/proc/${pid}/root`).filter(name => !/^(lib64|lib|bin|usr|dev|run|layers)$/.test(name)),
      []
    )
    assert.deepEqual(
      readdirSync(`/proc/${pid}/root/dev`).filter(name => name !== 'kvm'),
      ['null']
    )
    assert.deepEqual(readdirSync(`/proc/${pid}/root/run`), ['vm'])
    assert.equal(readFileSync(`/proc/${pid}/environ`, 'utf8').replace(/PWD=\/\0/, ''), '')
  })

  it('get a disk while they run and give it back', async () => {
    await host.registry.addDisk(OWNER, 'hot', 'g1', '2')
    const size = () => type(host, uuid, 'cat /sys/block/vdb/size')
    await until(async () => (await size()) === String(2 * 2 ** 21), 'the new disk in the guest')
    await host.registry.removeDisk(OWNER, 'hot')
    assert.doesNotMatch(await type(host, uuid, 'ls /sys/block'), /vdb/)
  })

  it('keep new figures for the next start while they run', async () => {
    assert.equal(await host.registry.update(OWNER, 'g1', '160', '1'), 'pending')
    assert.deepEqual((await host.registry.show(OWNER, 'g1')).pending, { ramMb: 160, cpu: 1 })
  })

  it('pause and go on', async () => {
    await host.power.pause(OWNER, 'g1')
    await until(async () => (await state()) === 'paused', 'the pause')
    await host.power.resume(OWNER, 'g1')
    await until(async () => (await state()) === 'running', 'the end of the pause')
    assert.equal(await type(host, uuid, 'echo $((6 * 7))'), '42')
  })

  it('a snapshot brings a deleted file back', async () => {
    await type(
      host,
      uuid,
      'mke2fs /dev/vda >/dev/null 2>&1; mount /dev/vda /mnt; echo kept > /mnt/file; sync'
    )
    await host.snapshots.take(OWNER, 'g1', 's1')
    await type(host, uuid, 'rm /mnt/file; sync')
    assert.equal(await type(host, uuid, 'ls /mnt'), 'lost+found')
    await host.snapshots.restore(OWNER, 'g1', 's1')
    await booted(host, uuid)
    assert.equal(await type(host, uuid, 'mount /dev/vda /mnt; cat /mnt/file; umount /mnt'), 'kept')
    assert.equal((await host.registry.show(OWNER, 'g1')).ramMb, 160)
    assert.equal((await host.registry.show(OWNER, 'g1')).pending, undefined)
  })

  it('run on while nobody watches over them, and are adopted', async () => {
    await type(host, uuid, `sh -c 'while true; do usleep 100000; n=$((n+1)); echo $n > /ticks; done &'`)
    const before = live().identity
    // killed in a freeze: its record has new tops, of which QEMU was not told
    const [disk] = await disksOf(host.database, uuid)
    const top = randomUUID()
    await insertLayer(host.database, top, disk!.top, OWNER)
    await setTop(host.database, disk!.uuid, top)
    host = await host.again()
    assert.deepEqual(live().identity, before)
    await until(async () => (await state()) === 'running', 'the adoption')
    await until(
      async () => (await host.registry.events(OWNER, 'g1', 0)).some(({ kind }) => kind === 'adopted'),
      'what follows it'
    )
    assert.deepEqual(await disksOf(host.database, uuid), [disk])
    // before the first tick there is no file, and while one is written it is empty
    const ticks = async () => Number(/^\d+$/.exec(await type(host, uuid, 'cat /ticks'))?.[0] ?? 0)
    const first = await until(ticks, 'the first tick')
    await until(async () => (await ticks()) > first, 'ticking')
  })

  it('have put in again what a killed node had taken out and not removed', async () => {
    const [disk] = await disksOf(host.database, uuid)
    const id = deviceName(disk!.uuid)
    const gone = live().expect(({ event, data }) => event === 'DEVICE_DELETED' && data.device === id, 60_000)
    await live().ask('device_del', { id })
    await gone
    assert.doesNotMatch(await type(host, uuid, 'ls /sys/block'), /vda/)
    host = await host.again()
    await until(async () => (await type(host, uuid, 'ls /sys/block')).includes('vda'), 'the disk')
  })

  it('are unresponsive when QEMU is stopped, hold no list up, and end by force', async () => {
    process.kill(live().identity!.pid, 'SIGSTOP')
    await until(async () => (await state()) === 'unresponsive', 'the silence')
    assert.equal((await host.registry.list(OWNER)).length, 1)
    await host.power.stop(OWNER, 'g1', { force: true })
    assert.equal(await state(), 'stopped')
    const [checked] = await host.registry.check(OWNER)
    assert.deepEqual([checked!.isSound, checked!.process, checked!.disks], [true, 'none', '1 ok'])
  })

  it('are started once more when QEMU was killed; a clone has the same disk', async () => {
    await host.power.start(OWNER, 'g1')
    const killed = live().identity!
    process.kill(killed.pid, 'SIGKILL')
    await until(() => live().identity !== undefined && live().identity!.pid !== killed.pid, 'the restart')
    await until(async () => (await state()) === 'running', 'running')
    // the restart holds the machine a little longer than the guest takes to run
    const isBusy = (error: Error) => {
      if (error.name !== 'BusyError') throw error
      return false
    }
    await until(
      () => host.power.stop(OWNER, 'g1', { force: true }).then(() => true, isBusy),
      'the end of the restart'
    )
    const starts = (await host.registry.events(OWNER, 'g1', 0)).filter(({ kind }) => kind === 'started')
    assert.equal(starts.length, 4) // at first, after the restore, before and after the kill
    await host.snapshots.clone(OWNER, 'g1', 'g2')
    const { uuid: cloned } = await host.registry.show(OWNER, 'g2')
    await host.power.start(OWNER, 'g2')
    await booted(host, cloned)
    assert.equal(await type(host, cloned, 'mount /dev/vda /mnt; cat /mnt/file; umount /mnt'), 'kept')
    // the power button: the guest powers itself down
    await host.power.stop(OWNER, 'g2')
    assert.equal((await host.registry.show(OWNER, 'g2')).state, 'stopped')
  })
})
