import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { holdMachine } from '../../../services/vm/store/records.ts'
import { booted, type MachinesHost, OWNER, openMachines, type, until } from './machines-host.ts'

const GB_SECTORS = 2 ** 21

describe('a guest', () => {
  let host: MachinesHost
  let uuid: string
  /** the clock of the host, where it stands still */
  let moment: number | undefined
  const state = async () => (await host.registry.show(OWNER, 'g1')).state
  const says = (command: string) => type(host, uuid, command)

  before(async function () {
    this.timeout(600_000)
    host = await openMachines({ now: () => moment ?? Date.now() })
    await host.registry.auth(OWNER, 'g1', '128', '1')
    await host.registry.addDisk(OWNER, 'd1', 'g1', '1')
    await host.bootsGuest('g1')
    uuid = (await host.registry.show(OWNER, 'g1')).uuid
    await host.power.start(OWNER, 'g1')
    await booted(host, uuid)
  })
  after(() => host?.end())

  it('sees its disk grow while it runs', async () => {
    assert.equal((await host.registry.grow(OWNER, 'd1', 3)).sizeGb, 3)
    await until(async () => Number(await says('cat /sys/block/vda/size')) === 3 * GB_SECTORS, 'the new size')
    await assert.rejects(host.registry.grow(OWNER, 'd1', 2), { name: 'UsageError' })
    await assert.rejects(host.registry.grow(OWNER, 'd1', 65_537), { name: 'UsageError' })
  })

  it('goes on in the middle of what it did where its memory was saved', async () => {
    await host.registry.addDisk(OWNER, 'd2', 'g1', '1')
    await until(async () => (await says('ls /sys/block')).includes('vdb'), 'the second disk')
    await host.registry.removeDisk(OWNER, 'd1')
    await says('x=41; echo kept > /note')
    const { memory } = await host.snapshots.take(OWNER, 'g1', 'alive', { hasMemory: true })
    assert.equal(memory!.ramMb, 128)
    assert.equal(await says('x=7; rm /note; echo $x'), '7')
    await host.snapshots.restore(OWNER, 'g1', 'alive')
    assert.equal(await says('echo $((x+1)); cat /note'), '42\r\nkept')
    assert.equal(await state(), 'running')
    await host.registry.addDisk(OWNER, 'd3', 'g1', '1')
    await assert.rejects(host.snapshots.restore(OWNER, 'g1', 'alive'), { name: 'ExistsError' })
    await host.snapshots.remove(OWNER, 'g1', 'alive')
  })

  it('is rebooted, and stays on', async () => {
    await says('x=41')
    const before = host.power.live(uuid).identity!.pid
    await host.power.reboot(OWNER, 'g1')
    await booted(host, uuid)
    assert.notEqual(host.power.live(uuid).identity!.pid, before)
    assert.equal(await says('echo "<$x>"'), '<>')
    await host.power.reconcile()
    assert.equal(await state(), 'running')
  })

  it('finds its disk begun anew, and in a snapshot what it had', async () => {
    await says('printf first | dd of=/dev/vda conv=fsync 2>/dev/null')
    await host.snapshots.take(OWNER, 'g1', 'before')
    await host.power.stop(OWNER, 'g1', { force: true })
    const image = join(host.folder, 'image')
    await writeFile(image, Buffer.concat([Buffer.from('anew.'), randomBytes(4096)]))
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', image, `${image}.qcow2`])
    assert.deepEqual(await host.media.rebuild(OWNER, 'd2', `${image}.qcow2`), { sizeGb: 1 })
    await host.power.start(OWNER, 'g1')
    await booted(host, uuid)
    const read = 'dd if=/dev/vda bs=5 count=1 2>/dev/null'
    assert.equal(await says(read), 'anew.')
    await host.snapshots.restore(OWNER, 'g1', 'before')
    await booted(host, uuid)
    assert.equal(await says(read), 'first')
  })

  it('is started again where a killed node had asked it to power down; asked at the end of its node it starts with it', async () => {
    const starts = async () =>
      (await host.registry.events(OWNER, 'g1', 0)).filter(({ kind }) => kind === 'started').length
    const before = await starts()
    await holdMachine(host.database, uuid, {
      ...{ kind: 'reboot', caller: OWNER, epoch: 'of a killed node', startedAt: 0 }
    })
    // a guest may take longer than it counts as asked by the node that was killed
    moment = Date.now()
    host = await host.again()
    await until(async () => (await state()) === 'running', 'the adoption')
    // a guest that is quick has ended before QEMU could answer
    await host.power
      .live(uuid)
      .ask('system_powerdown')
      .catch(error => assert.match(error.message, /closed its socket/))
    await until(async () => (await starts()) === before + 1, 'the start')
    moment = undefined
    await booted(host, uuid)
    assert.ok(host.power.endMs() > 0)
    await host.power.end()
    assert.equal(host.power.endMs(), 0)
    const events = await host.registry.events(OWNER, 'g1', 0)
    assert.equal(events.at(-1)!.kind, 'stopped')
    host = await host.again()
    await until(async () => (await state()) === 'running', 'the start')
  })
})
