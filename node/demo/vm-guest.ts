import { execFile, execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const CACHE = join(import.meta.dirname, '../../node_modules/.cache/artel-guest-2')
/** In the order in which they need each other. */
const MODULES = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_pci_legacy_dev.ko',
  'drivers/virtio/virtio_pci_modern_dev.ko',
  'drivers/virtio/virtio_pci.ko',
  'drivers/block/virtio_blk.ko',
  'drivers/acpi/button.ko',
  'drivers/input/evdev.ko',
  'drivers/cdrom/cdrom.ko',
  'fs/isofs/isofs.ko',
  'net/core/failover.ko',
  'drivers/net/net_failover.ko',
  'drivers/net/virtio_net.ko'
]

/** Says `READY`, then a shell on the serial port. The power button powers down. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for m in ${MODULES.map(module => module.split('/').at(-1)).join(' ')}; do insmod /$m; done
mkdir -p /etc/acpi/PWRF
printf '#!/bin/sh\\nsync; poweroff -f\\n' > /etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
acpid -d >/dev/null 2>&1 &
echo READY
exec setsid -c sh </dev/ttyS0 >/dev/ttyS0 2>&1
`

export interface Guest {
  kernel: string
  initrd: string
  append: string
}

/**
 * The smallest Linux that boots to a shell: Debian's kernel for clouds, which is unpacked and not installed, and
 * busybox. Made once and kept.
 */
export async function buildGuest(): Promise<Guest> {
  const kernel = join(CACHE, 'vmlinuz')
  const initrd = join(CACHE, 'initrd')
  const guest = { kernel, initrd, append: 'console=ttyS0 quiet panic=1 mitigations=off random.trust_cpu=on' }
  const isThere = await stat(CACHE).then(
    () => true,
    () => false
  )
  if (isThere) return guest
  const folder = await mkdtemp(join(tmpdir(), 'artel-guest-'))
  try {
    const { stdout } = await run('apt-cache', ['depends', 'linux-image-cloud-amd64'])
    const name = /Depends: (linux-image-\S+)/.exec(stdout)![1]!
    await run('apt-get', ['download', name], { cwd: folder })
    const [archive] = await readdir(folder)
    await run('dpkg-deb', ['-x', join(folder, archive!), join(folder, 'x')])
    const [release] = await readdir(join(folder, 'x/lib/modules'))
    const root = join(folder, 'root')
    for (const part of ['bin', 'proc', 'sys', 'dev', 'mnt'])
      await mkdir(join(root, part), { recursive: true })
    await cp('/bin/busybox', join(root, 'bin/busybox'))
    for (const module of MODULES)
      await cp(
        join(folder, 'x/lib/modules', release!, 'kernel', module),
        join(root, module.split('/').at(-1)!)
      )
    await writeFile(join(root, 'init'), INIT)
    await chmod(join(root, 'init'), 0o755)
    const made = join(folder, 'made')
    await mkdir(made)
    execFileSync('sh', ['-c', `find . | cpio --quiet -o -H newc | gzip -1 > ${made}/initrd`], { cwd: root })
    await cp(join(folder, `x/boot/vmlinuz-${release}`), join(made, 'vmlinuz'))
    await mkdir(join(CACHE, '..'), { recursive: true })
    // another run may have been faster
    await cp(made, `${CACHE}.${process.pid}`, { recursive: true })
    await rename(`${CACHE}.${process.pid}`, CACHE).catch(() =>
      rm(`${CACHE}.${process.pid}`, { recursive: true })
    )
    return guest
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
