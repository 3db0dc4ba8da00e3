import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createConsole } from '../../../services/vm/qemu/console.ts'
import { findPrograms, walledCommand } from '../../../services/vm/qemu/walls.ts'
import { createCanary } from '../../sandbox/canary.ts'
import { booted, type MachinesHost, OWNER, openMachines, type, until } from './machines-host.ts'

const RING = 2 ** 20
const MB = 2 ** 20

describe('vm: what has broken out of QEMU', () => {
  it('finds no file, variable, process, device, network or way to more inside the walls', async () => {
    const canary = await createCanary()
    const folder = await mkdtemp(join(tmpdir(), 'artel-vm-walls-'))
    try {
      const programs = await findPrograms()
      const sh = '/bin/busybox'
      // in the place of QEMU stands a shell that tries everything
      const script = `
        ${sh} env; ${sh} id -u
        ${sh} cat ${canary.bait.file} /etc/passwd /proc/1/environ /proc/self/status; ${sh} ls /proc /home /root /tmp /etc /sys
        ${sh} ls /; ${sh} ls /dev
        echo x | ${sh} nc -w 2 127.0.0.1 ${canary.bait.port} && echo REACHED
        ${sh} ip link; ${sh} ping -c 1 -W 1 127.0.0.1 && echo PINGED
        ${sh} touch ${canary.bait.folder}/made /made /layers/made ${programs.qemu} && echo WROTE
        ${sh} mount -t proc p /run/vm && echo MOUNTED; ${sh} mount -t tmpfs t /run/vm && echo MOUNTED
        ${sh} mknod /run/vm/disk b 8 0 && echo MADE; ${sh} chroot / ${sh} true && echo CHROOTED
        ${sh} unshare -U ${sh} true && echo UNSHARED; ${sh} kill -9 -1; ${sh} hostname pwned && echo NAMED
        ${sh} touch /run/vm/fine && echo DONE`
      const command = walledCommand(
        { ...programs, files: [...programs.files, sh] },
        [{ from: folder, to: '/run/vm', isWritable: true }],
        [sh, 'sh', '-c', script]
      )
      const { stdout, stderr } = await promisify(execFile)(command[0]!, command.slice(1), {
        timeout: 60_000
      }).catch(error => error)
      const seen = `${stdout}${stderr}`
      assert.match(stdout, /DONE/, seen)
      for (const word of [
        'REACHED',
        'PINGED',
        'WROTE',
        'MOUNTED',
        'MADE',
        'CHROOTED',
        'UNSHARED',
        'NAMED',
        'root:'
      ])
        assert.ok(!stdout.includes(word), `${word}: ${seen}`)
      assert.deepEqual(canary.trips(seen), [])
      // of this process’s variables none is there
      assert.doesNotMatch(stdout, /ARTEL|HOME=|USER=/)
      assert.match(stdout, /^null$/m)
      assert.doesNotMatch(stdout, /^(sda|mem|tty|random|fuse|shm)$/m)
    } finally {
      await rm(folder, { recursive: true, force: true })
      await canary.close()
    }
  })
})

describe('vm: hostile guests', () => {
  it('who write to the serial port without end fill a ring of 1 MiB and no more', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-vm-flood-'))
    const path = join(folder, 'serial.sock')
    const flood = 200 * MB
    const piece = Buffer.alloc(MB, 'flood ')
    const server = createServer(async socket => {
      for (let sent = 0; sent < flood; sent += MB)
        if (!socket.write(piece)) await new Promise(resolve => socket.once('drain', resolve))
      socket.write('the end')
    })
    const console = createConsole()
    let viewed = 0
    console.watch(data => {
      viewed += data.length
    })
    try {
      await new Promise<void>(resolve => server.listen(path, resolve))
      const before = process.memoryUsage()
      console.attach(path)
      let beats = 0
      const beat = setInterval(() => beats++, 1)
      await until(() => console.received === flood + 7, 'the end of the flood', 120_000)
      clearInterval(beat)
      assert.equal(console.recent().length, RING)
      assert.ok(console.recent().subarray(-7).equals(Buffer.from('the end')))
      assert.equal(viewed, flood + 7)
      // the loop went round meanwhile: others had their turn
      assert.ok(beats > 20, `${beats} turns`)
      // what is garbage waits for as long as the machine is busy, and V8 frees its buffers in a thread of its own
      setFlagsFromString('--expose-gc')
      const collect = runInNewContext('gc') as () => void
      const grown = (): number => {
        collect()
        return process.memoryUsage().arrayBuffers - before.arrayBuffers
      }
      await until(() => grown() < 20 * MB, 'that the buffers of the flood are free', 60_000)
    } finally {
      console.close()
      server.close()
      await rm(folder, { recursive: true, force: true })
    }
  })

  describe('that run', () => {
    let host: MachinesHost
    let uuid: string
    let folder: string

    before(async function () {
      this.timeout(600_000)
      folder = await mkdtemp(join(tmpdir(), 'artel-vm-guest-'))
      host = await openMachines()
      await host.registry.auth(OWNER, 'evil', '128', '1')
      await host.registry.addDisk(OWNER, 'd1', 'evil', '1')
      await host.bootsGuest('evil')
      uuid = (await host.registry.show(OWNER, 'evil')).uuid
      await host.power.start(OWNER, 'evil')
      await booted(host, uuid)
    })
    after(async () => {
      await host?.end()
      await rm(folder, { recursive: true, force: true })
    })

    it('flood the console and hold nobody up', async () => {
      const { console } = host.power.live(uuid)
      console.write(Buffer.from('yes 0123456789abcdef0123456789abcdef &\n'))
      await until(() => console.received > 1.5 * RING, 'a flood', 240_000)
      assert.equal(console.recent().length, RING)
      assert.equal((await host.registry.list(OWNER))[0]!.state, 'running')
      console.write(Buffer.from('\nkill %1 $!\n'))
      await host.power.stop(OWNER, 'evil', { force: true })
      await host.power.start(OWNER, 'evil')
      await booted(host, uuid)
    })

    it('write a header of qcow2 into their disk that names a file of the host, and read nothing of it', async () => {
      const canary = join(folder, 'canary')
      await writeFile(canary, 'canary-5d1e'.repeat(10_000))
      execFileSync(
        'qemu-img',
        ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', canary, 'evil.qcow2', '1G'],
        { cwd: folder }
      )
      // a line of the guest's shell has 1,023 characters; the name stands within the first 600 bytes
      const header = (await readFile(join(folder, 'evil.qcow2'))).subarray(0, 600)
      await type(host, uuid, `echo ${header.toString('base64')} | base64 -d > /h`)
      await type(host, uuid, 'dd if=/h of=/dev/vda conv=fsync 2>/dev/null')
      await host.power.stop(OWNER, 'evil', { force: true })
      await host.power.start(OWNER, 'evil')
      await booted(host, uuid)
      // as it was written, and the size that the host gave it
      assert.equal(await type(host, uuid, 'head -c 3 /dev/vda; cat /sys/block/vda/size'), `QFI${2 ** 21}`)
      assert.doesNotMatch(await type(host, uuid, 'head -c 200000 /dev/vda | strings'), /canary-5d1e/)
      await host.power.stop(OWNER, 'evil', { force: true })
      await host.media.exportDisk(OWNER, 'd1', join(folder, 'out.qcow2'))
      execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', 'out.qcow2', 'out.raw'], {
        cwd: folder
      })
      assert.equal((await stat(join(folder, 'out.raw'))).size, 2 ** 30)
      const { stdout } = await promisify(execFile)('grep', [
        '-c',
        'canary-5d1e',
        join(folder, 'out.raw')
      ]).catch(error => error)
      assert.equal(stdout.trim(), '0')
    })
  })

  it('images that are bombs or lies are refused by name, and the host goes on', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-vm-images-'))
    const host = await openMachines()
    try {
      await host.registry.auth(OWNER, 'm', '128', '1')
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', 'good.qcow2', '64M'], { cwd: folder })
      const good = await readFile(join(folder, 'good.qcow2'))
      const changed = (change: (header: Buffer) => void): Buffer => {
        const image = Buffer.from(good)
        change(image)
        return image
      }
      const images: Record<string, Buffer> = {
        empty: Buffer.alloc(0),
        short: good.subarray(0, 50),
        raw: Buffer.from('raw '.repeat(100_000)),
        'a script': Buffer.from('#!/bin/sh\ntouch /tmp/pwned\n'),
        'clusters of 2 GB': changed(header => header.writeUInt32BE(31, 20)),
        'clusters of a byte': changed(header => header.writeUInt32BE(0, 20)),
        'a table of 32 GB': changed(header => header.writeUInt32BE(0xffffffff, 36)),
        'counts of 256 TB': changed(header => header.writeUInt32BE(0xffffffff, 56)),
        'four billion snapshots': changed(header => header.writeUInt32BE(0xffffffff, 60)),
        'a header of 4 GB': changed(header => header.writeUInt32BE(0xffffffff, 100)),
        'an exabyte': changed(header => header.writeBigUInt64BE(2n ** 60n, 24)),
        'less than nothing': changed(header => header.writeBigInt64BE(-1n, 24))
      }
      for (const [name, bytes] of Object.entries(images)) {
        const file = join(folder, 'image')
        await writeFile(file, bytes)
        await assert.rejects(host.media.importDisk(OWNER, 'm', 'bad', file), { name: 'StorageError' }, name)
      }
      assert.deepEqual(await host.registry.listDisks(OWNER), [])
      const { sizeGb } = await host.media.importDisk(OWNER, 'm', 'fine', join(folder, 'good.qcow2'))
      assert.equal(sizeGb, 1)
    } finally {
      await host.end()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
