import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Guest } from '../../node/demo/vm-guest.ts'
import { type Launch, qemuArguments } from '../../services/vm/qemu/arguments.ts'
import { connectQmp } from '../../services/vm/qemu/qmp.ts'
import { findPrograms } from '../../services/vm/qemu/walls.ts'
import { end } from '../harness/process.ts'

const run = promisify(execFile)
const DEADLINE_MS = 120_000
export const PROMPT = '/ # '

/** ms until the monitor answers, and until the guest's prompt. */
export interface Started {
  readyMs: number
  bootMs: number
}

/** A machine of `ramMb` MB that starts the guest's kernel, each time anew. */
export interface Machines extends AsyncDisposable {
  start(ramMb: number): Promise<Started>
}

/** Waits for the prompt at a serial port that is a socket. */
async function prompt(path: string): Promise<void> {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  while (!existsSync(path)) await wait(2, undefined, { signal })
  const socket = connect({ path })
  try {
    let seen = ''
    for await (const [data] of on(socket, signal)) {
      seen = (seen + data.toString('latin1')).slice(-1_000)
      if (seen.includes(PROMPT)) return
    }
  } finally {
    socket.destroy()
  }
}

async function* on(socket: ReturnType<typeof connect>, signal: AbortSignal): AsyncGenerator<[Buffer]> {
  for (;;) yield (await once(socket, 'data', { signal })) as [Buffer]
}

/** QEMU with the arguments that Artel gives it, and no walls, started by hand. */
export async function qemuByHand(guest: Guest): Promise<Machines> {
  const { qemu } = await findPrograms()
  return {
    async start(ramMb) {
      const folder = await mkdtemp(join(tmpdir(), 'artel-qemu-'))
      const launch: Launch = {
        ...{
          uuid: crypto.randomUUID(),
          ramMb,
          cpu: 1,
          accelerator: 'tcg',
          disks: [],
          hasNetwork: false,
          isIncoming: false
        },
        kernel: { kernel: 'KERNEL', initrd: 'INITRD', append: guest.append }
      }
      const args = qemuArguments(launch).map(arg =>
        arg
          .replace('/run/vm', folder)
          .replace('/layers/KERNEL', guest.kernel)
          .replace('/layers/INITRD', guest.initrd)
      )
      let child: ChildProcess | undefined
      try {
        const startedAt = performance.now()
        child = spawn(qemu, args, { stdio: 'ignore', env: {} })
        while (!existsSync(join(folder, 'serial.sock'))) await wait(2)
        const qmp = await connectQmp(join(folder, 'qmp.sock'), () => {}, { ms: DEADLINE_MS })
        const readyMs = performance.now() - startedAt
        await prompt(join(folder, 'serial.sock'))
        const bootMs = performance.now() - startedAt
        qmp.close()
        return { readyMs, bootMs }
      } finally {
        if (child !== undefined) await end(child)
        await rm(folder, { recursive: true, force: true })
      }
    },
    async [Symbol.asyncDispose]() {}
  }
}

/** Debian's libvirt in its session mode, which needs neither systemd nor root: `virsh create` of the same machine. */
export async function libvirt(guest: Guest): Promise<Machines> {
  const folder = await mkdtemp(join(tmpdir(), 'artel-libvirt-'))
  await chmod(folder, 0o755)
  const run1 = join(folder, 'run')
  await mkdir(run1)
  const isRoot = process.getuid!() === 0
  // as root there is no session; its QEMU must read the guest's files
  const as = isRoot ? ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', '--'] : []
  if (isRoot) await run('chown', ['-R', 'nobody:nogroup', folder])
  const files = [join(folder, 'vmlinuz'), join(folder, 'initrd')] as const
  await run('cp', [guest.kernel, files[0]])
  await run('cp', [guest.initrd, files[1]])
  await run('chmod', ['644', ...files])
  const environment = [
    'env',
    '-i',
    'PATH=/usr/sbin:/usr/bin:/bin',
    `HOME=${folder}`,
    `XDG_RUNTIME_DIR=${run1}`
  ]
  const virsh = (...args: string[]) => {
    const [file, ...rest] = [...as, ...environment, 'virsh', '-q', '-c', 'qemu:///session', ...args]
    return run(file!, rest, { timeout: DEADLINE_MS })
  }
  const serial = join(run1, 'serial.sock')
  // the daemon of the session starts with the first command and ends by itself two minutes after the last
  await virsh('list')
  return {
    async start(ramMb) {
      const file = join(folder, 'domain.xml')
      await writeFile(
        file,
        `<domain type='qemu'><name>bench</name><memory unit='MiB'>${ramMb}</memory><vcpu>1</vcpu>
         <os><type arch='x86_64' machine='q35'>hvm</type><kernel>${files[0]}</kernel><initrd>${files[1]}</initrd>
         <cmdline>${guest.append}</cmdline></os><features><acpi/></features><cpu mode='maximum'/>
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/>
         <memballoon model='none'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
         <serial type='unix'><source mode='bind' path='${serial}'/></serial></devices></domain>`
      )
      await chmod(file, 0o644)
      const startedAt = performance.now()
      await virsh('create', file)
      const readyMs = performance.now() - startedAt
      try {
        await prompt(serial)
        return { readyMs, bootMs: performance.now() - startedAt }
      } finally {
        await virsh('destroy', 'bench')
      }
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true })
    }
  }
}
