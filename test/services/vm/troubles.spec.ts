import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import { createImage } from '../../../services/vm/qemu/images.ts'
import { linkInto } from '../../../services/vm/qemu/process.ts'
import { disksOf } from '../../../services/vm/store/records.ts'
import { booted, type MachinesHost, OWNER, openMachines, type, until } from './machines-host.ts'

const ENOSPC = 28

describe('a machine in trouble', () => {
  let host: MachinesHost
  const show = (id: string) => host.registry.show(OWNER, id)
  const count = async (id: string, kind: string) =>
    (await host.registry.events(OWNER, id, 0)).filter(event => event.kind === kind).length

  before(async () => {
    host = await openMachines()
  })
  after(() => host?.end())

  it('whose QEMU ends again and again is started after growing waits, and left alone after five times', async () => {
    await host.registry.auth(OWNER, 'loops', '64', '1')
    await host.power.start(OWNER, 'loops')
    const at: number[] = [Date.now()]
    for (let crash = 1; crash <= 5; crash++) {
      const { pid } = await show('loops')
      process.kill(pid!, 'SIGKILL')
      if (crash === 5) break
      await until(async () => (await count('loops', 'started')) === crash + 1, `start ${crash + 1}`)
      await until(async () => (await show('loops')).state === 'running', 'running')
      at.push(Date.now())
    }
    // never sooner than 1, 2, 4, 8 s
    for (const [i, ms] of [1_000, 2_000, 4_000, 8_000].entries()) assert.ok(at[i + 1]! - at[i]! >= ms)
    await until(async () => (await show('loops')).state === 'crashed', 'giving up')
    await host.power.reconcile()
    assert.equal(await count('loops', 'started'), 5)
    await host.power.start(OWNER, 'loops')
    assert.equal((await show('loops')).state, 'running')
    await host.power.stop(OWNER, 'loops', { force: true })
  })

  it('that was logged out runs on, and once its QEMU has ended waits until it is authenticated again', async () => {
    const { registry, power } = host
    await registry.auth(OWNER, 'out', '64', '1')
    await power.start(OWNER, 'out')
    await registry.logout(OWNER, 'out')
    assert.equal((await show('out')).state, 'running')
    process.kill((await show('out')).pid!, 'SIGKILL')
    await until(async () => (await show('out')).state === 'stopped', 'its end')
    await power.reconcile()
    assert.equal(await count('out', 'started'), 1)
    await registry.auth(OWNER, 'out', '64', '1')
    await until(async () => (await count('out', 'started')) === 2, 'its start')
    await power.stop(OWNER, 'out', { force: true })
  })

  it('whose disk is full stands still, and loses nothing once there is room', async () => {
    await host.registry.auth(OWNER, 'full', '128', '1')
    await host.bootsGuest('full')
    await host.power.start(OWNER, 'full')
    const { uuid } = await show('full')
    await booted(host, uuid)
    const layer = randomUUID()
    const { context, power } = host
    await createImage(context.programs, context.layerFile(layer), 2 ** 30)
    await linkInto(context.layerFile(layer), context.machineFolder(uuid))
    const handle = power.live(uuid)
    // the true QEMU with a file whose first write finds no room
    await handle.ask('blockdev-add', {
      driver: 'qcow2',
      'node-name': 'tight',
      file: {
        driver: 'blkdebug',
        'inject-error': [{ event: 'write_aio', errno: ENOSPC, once: true }],
        image: { driver: 'file', filename: `/run/vm/${layer}` }
      }
    })
    const device = { driver: 'virtio-blk-pci', id: 'tight', drive: 'tight', bus: 'port0', werror: 'enospc' }
    await handle.ask('device_add', device)
    const says = (command: string) => type(host, uuid, command)
    await until(async () => (await says('ls /sys/block')).includes('vda'), 'the disk')
    const stopped = handle.expect(({ event }) => event === 'STOP', 60_000)
    const full = handle.expect(
      ({ event, data }) => event === 'BLOCK_IO_ERROR' && data.nospace === true,
      60_000
    )
    // a longer line would be wrapped in its echo
    await says("echo 'yes precious|head -c 99999' > /w")
    const written = says('sh /w|dd of=/dev/vda conv=fsync 2>/n; echo $?')
    await Promise.all([stopped, full])
    assert.equal(await written, '0')
    // the guest has gone on before that is told and written
    await until(async () => (await count('full', 'resumed')) > 0, 'the note')
    await until(async () => (await show('full')).state === 'running', 'running')
    assert.equal(await count('full', 'resumed'), 1)
    await says('echo 3 > /proc/sys/vm/drop_caches')
    assert.equal(await says('head -c 99999 /dev/vda|md5sum'), await says('sh /w|md5sum'))
    await host.power.stop(OWNER, 'full', { force: true })
  })

  it('whose disk is damaged is not started by anybody, says what to do, and is well again after it', async () => {
    await host.registry.auth(OWNER, 'torn', '64', '1')
    await host.registry.addDisk(OWNER, 'td', 'torn', '1')
    await host.snapshots.take(OWNER, 'torn', 'before')
    const { uuid } = await show('torn')
    /** nothing in it is counted as used any more, as docs/interop/qcow2.txt has it */
    async function tear() {
      const [disk] = await disksOf(host.database, uuid)
      const file = await open(host.context.layerFile(disk!.top), 'r+')
      const header = Buffer.alloc(104)
      await file.read(header, 0, header.length, 0)
      await file.write(Buffer.alloc(8), 0, 8, Number(header.readBigUInt64BE(48)))
      await file.close()
    }
    const checked = async () => (await host.registry.check(OWNER)).find(({ id }) => id === 'torn')!

    await host.power.start(OWNER, 'torn')
    await tear()
    // of what runs nothing is concluded
    await checked()
    assert.equal((await show('torn')).state, 'running')
    process.kill((await show('torn')).pid!, 'SIGKILL')
    await until(async () => (await show('torn')).state === 'corrupt', 'the damage')
    await host.power.reconcile()
    assert.equal(await count('torn', 'started'), 1)
    const refusal = {
      name: 'StateError',
      message: /^machine torn is corrupt; disk td .*artel vm rollback torn/
    }
    await assert.rejects(host.power.start(OWNER, 'torn'), refusal)
    const { state, disks, isSound } = await checked()
    assert.deepEqual([state, isSound], ['corrupt', false])
    assert.match(disks, /^disk td is damaged \(ERROR .*artel vm rebuild td FILE/)

    host = await host.again()
    assert.equal((await show('torn')).state, 'corrupt')
    assert.equal(await count('torn', 'corrupt'), 2)
    await host.snapshots.restore(OWNER, 'torn', 'before')
    await host.power.reconcile()
    await until(async () => (await show('torn')).state === 'running', 'its start')
    await host.power.stop(OWNER, 'torn', { force: true })
    assert.equal((await checked()).isSound, true)
  })
})
