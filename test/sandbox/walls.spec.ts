import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createChild } from '../../sandbox/child.ts'
import type { LoadMessage } from '../../sandbox/child-main.ts'
import { frame } from '../../sandbox/frames.ts'
import { seccompFilter } from '../../sandbox/seccomp.ts'
import { openSession } from '../../sandbox/session.ts'
import { findTools, librariesOf, spawnWalled } from '../../sandbox/walls.ts'
import { asChild, CALLS, machineCode, spawnNative } from './native.ts'
import { cpuSeconds, descendants, eventually, statusOf } from './processes.ts'

/**
 * What a task could do if isolated-vm had a hole: plain node in place of the isolate, without `--permission`, inside
 * the same walls of the operating system. Answers what the probe printed as JSON.
 */
async function inside(probe: string, look?: (pid: number) => void): Promise<Record<string, unknown>> {
  const { bwrap, prlimit } = findTools()
  assert.ok(bwrap && prlimit, 'bwrap and prlimit are needed: bootstrap/install-debian-packages.sh')
  const files = [process.execPath, ...(await librariesOf(process.execPath))]
  const source = `(async () => { ${probe} })().then(found => { require('fs').writeSync(1, JSON.stringify(found)); require('fs').readSync(0, Buffer.alloc(1)) })`
  const { child, pid } = spawnWalled({ bwrap, prlimit }, files, [process.execPath, '-e', source])
  let output = ''
  let errors = ''
  child.stderr!.on('data', data => {
    errors += data
  })
  try {
    return await new Promise((resolve, reject) => {
      const deadline = setTimeout(
        () => reject(new Error(`no answer from inside: ${output} ${errors}`)),
        240_000
      )
      child.stdout!.on('data', data => {
        output += data
        try {
          resolve(JSON.parse(output))
          clearTimeout(deadline)
        } catch {
          // not whole yet
        }
      })
    }).then(async found => {
      look?.(await pid)
      return found as Record<string, unknown>
    })
  } finally {
    child.kill('SIGKILL')
    await new Promise(resolve => child.once('close', resolve))
  }
}

describe('sandbox: the walls from inside', () => {
  const TRY = `const attempt = async f => { try { return await f() } catch (e) { return e.code ?? e.message } };
    const fs = require('fs'), net = require('net'), cp = require('child_process');`

  it('has no capabilities, no new privileges, a filter, and namespaces of its own', async () => {
    await inside('return {}', pid => {
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.match(statusOf(pid, set)!, /^0+$/)
      assert.equal(statusOf(pid, 'NoNewPrivs'), '1')
      assert.equal(statusOf(pid, 'Seccomp'), '2')
      assert.equal(statusOf(pid, 'NSpid')?.split('\t').at(-1), '1')
    })
  })

  it('has no environment but the PWD that bwrap sets, and sees nothing of this machine’s files', async () => {
    const found = await inside(`${TRY}
      const walk = (folder) => { try { return fs.readdirSync(folder, { withFileTypes: true }).flatMap(e => { const at = folder + (folder === '/' ? '' : '/') + e.name; return e.isDirectory() ? walk(at) : [at] }) } catch (e) { return [folder + ' ' + e.code] } };
      return { env: process.env, files: walk('/'), passwd: await attempt(() => fs.readFileSync('/etc/passwd', 'utf8')), proc: await attempt(() => fs.readdirSync('/proc')), hostname: require('os').hostname() }`)
    assert.deepStrictEqual(found.env, { PWD: '/tmp' })
    const allowed = new Set([process.execPath, ...(await librariesOf(process.execPath))])
    assert.deepStrictEqual(
      (found.files as string[]).filter(file => !allowed.has(file)),
      []
    )
    assert.deepStrictEqual([found.passwd, found.proc, found.hostname], ['ENOENT', 'ENOENT', 'artel'])
  })

  it('can write to a small tmpfs only', async () => {
    const found = await inside(`${TRY}
      const folders = ['/', '/lib', '/lib64', '/usr', '/home', '/root', ${JSON.stringify(join(process.execPath, '..'))}];
      const write = folder => attempt(() => { fs.writeFileSync(folder + '/tripped', 'x'); return 'written to ' + folder });
      return { folders: await Promise.all(folders.map(write)),
        node: await attempt(() => { fs.writeFileSync(process.execPath, 'x'); return 'written' }),
        tmp: await write('/tmp'), much: await attempt(() => { process.on('SIGXFSZ', () => {}); fs.writeFileSync('/tmp/much', Buffer.alloc(8 << 20)); return 'written' }) }`)
    for (const answer of found.folders as string[]) assert.match(answer, /^(EROFS|ENOENT|EACCES|EPERM)$/)
    assert.match(found.node as string, /^(EROFS|EACCES|EPERM|ETXTBSY)$/)
    assert.equal(found.tmp, 'written to /tmp')
    assert.match(found.much as string, /^(ENOSPC|EFBIG)$/)
  })

  it('cannot open a socket, start a process, or signal one', async () => {
    const server = createServer(() => assert.fail('somebody connected')).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    try {
      const found = await inside(`${TRY}
        const wait = (emitter, good) => new Promise((resolve, reject) => { emitter.once(good, () => resolve(good)); emitter.once('error', reject) });
        return {
          tcp: await attempt(() => wait(net.connect(${port}, '127.0.0.1'), 'connect')),
          listen: await attempt(() => wait(net.createServer().listen(0, '127.0.0.1'), 'listening')),
          unix: await attempt(() => wait(net.connect('/tmp/socket'), 'connect')),
          udp: await attempt(() => wait(require('dgram').createSocket('udp4').bind(0, '127.0.0.1'), 'listening')),
          spawn: await attempt(() => wait(cp.spawn(process.execPath, ['-e', '0']), 'spawn')),
          fork: await attempt(() => cp.execFileSync(process.execPath, ['-e', '0']).length),
          kill: await attempt(() => process.kill(1, 0)),
          debug: await attempt(() => { process._debugProcess(1); return 'signalled' }),
          setuid: await attempt(() => { process.setuid(1); return 'another user' }),
          mkdir: await attempt(() => { fs.mkdirSync('/tmp/folder'); return 'made' }),
          chmod: await attempt(() => { fs.chmodSync('/tmp', 0o777); return 'changed' }),
          link: await attempt(() => { fs.symlinkSync('/', '/tmp/link'); return 'linked' })
        }`)
      for (const [name, answer] of Object.entries(found))
        assert.match(String(answer), /EPERM|ENOSYS|EMFILE/, name)
    } finally {
      server.close()
    }
  })
})

describe('sandbox: when the isolate has fallen', () => {
  /** What an outcome of a session says whose child runs this instead of node. */
  async function attack(script: string): Promise<string> {
    const { child, pid } = await spawnNative(asChild(script))
    const session = await openSession({
      class: 'native',
      limits: { timeoutMs: 240_000, memoryMb: 64, outputBytes: 1000 },
      message: {} as LoadMessage,
      binary: [],
      take: () => createChild(child, () => pid, findTools()),
      onClose: () => {}
    })
    try {
      const [outcome] = await session.run([new Uint8Array(1)])
      return outcome!.ok ? 'answered' : `${outcome!.failure.name}: ${outcome!.failure.message}`
    } finally {
      await session.close()
    }
  }

  it('gives no memory that is shared: what is given back of it would stay and be counted by nobody', async () => {
    const answers = {
      private: [CALLS.mmap, 0, 4096, 3, 0x22, -1, 0],
      'MAP_SHARED | MAP_ANONYMOUS': [CALLS.mmap, 0, 4096, 3, 0x21, -1, 0],
      'MAP_SHARED_VALIDATE | MAP_ANONYMOUS': [CALLS.mmap, 0, 4096, 3, 0x23, -1, 0],
      'MAP_SHARED of a file in the tmpfs': [CALLS.mmap, 0, 4096, 3, 0x01, 'fileno($file)', 0]
    }
    const { child } = await spawnNative(
      `open(my $file, '+>', '/tmp/file'); ${Object.entries(answers)
        .map(([name, args]) => `print '${name}: ', syscall(${args.join()}) == -1 ? $! : 'given', "\\n";`)
        .join('')} print 'memfd: ', syscall(${CALLS.memfd}, my $name = 'x', 0) == -1 ? $! : 'given', "\\n"`
    )
    const refused = 'Operation not permitted'
    assert.deepStrictEqual((await text(child.stdout as Readable)).trim().split('\n'), [
      'private: given',
      ...Object.keys(answers)
        .slice(1)
        .map(name => `${name}: ${refused}`),
      `memfd: ${refused}`
    ])
  })

  it('counts page tables: a read of one page in 2 MiB leaves nothing else', async () => {
    // 512 MiB of page tables over 256 GiB that are only read
    const script = `my $at = syscall(${CALLS.mmap}, 0, 1 << 38, 1, 0x4022, -1, 0);
      for (my $i = 0; $i < 1 << 17; $i++) { unpack('P1', pack('J', $at + ($i << 21))) }`
    assert.equal(await attack(script), 'out-of-memory: more than 64 MB of memory')
  })

  const itOnX64 = process.arch === 'x64' ? it : () => {} // machine code
  itOnX64('ends what makes threads, also as root, whom the limit of the kernel does not hold', async () => {
    // 4,000 × clone(CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM), each of which waits for ever
    const code = `53 bba00f0000 b838000000 bf000f0500 4889e6 31d2 4531d2 4531c0 0f05 85c0 7406 ffcb 75e1 5b c3
      b807000000 31ff 31f6 48c7c2ffffffff 0f05 ebec`
    assert.match(await attack(`${machineCode(code)} sleep 240`), /^out-of-memory: more than \d+ threads$/)
  })

  it('says what it wrote to standard output and error, and how much it may', async () => {
    const { child, pid } = await spawnNative(asChild(`print STDERR 'last words'; close(STDERR); sleep 240`))
    const one = await createChild(child, () => pid, findTools())
    one.send(frame(1))
    one.send(frame(2))
    await eventually('it was heard', () => one.said === 'last words')
    one.kill()
    await one.ended
    assert.match(await attack(`$| = 1; print 'x' x 65536 for 1 .. 1000; sleep 240`), /^threw: /)
  })
})

describe('sandbox: seccomp filter', () => {
  // numbers of Linux, x64 and arm64, for what must not be there
  const forbidden: Record<string, [number, number]> = {
    socket: [41, 198],
    connect: [42, 203],
    accept: [43, 202],
    sendmsg: [46, 211],
    socketpair: [53, 199],
    bind: [49, 200],
    ptrace: [101, 117],
    process_vm_readv: [310, 270],
    process_vm_writev: [311, 271],
    kill: [62, 129],
    tkill: [200, 130],
    execveat: [322, 281],
    unshare: [272, 97],
    setns: [308, 268],
    mount: [165, 40],
    umount2: [166, 39],
    pivot_root: [155, 41],
    chroot: [161, 51],
    bpf: [321, 280],
    perf_event_open: [298, 241],
    io_uring_setup: [425, 425],
    keyctl: [250, 219],
    add_key: [248, 217],
    userfaultfd: [323, 282],
    seccomp: [317, 277],
    setuid: [105, 146],
    capset: [126, 91],
    unlinkat: [263, 35],
    renameat2: [316, 276],
    mkdirat: [258, 34],
    symlinkat: [266, 36],
    fchmodat: [268, 53],
    memfd_create: [319, 279],
    pidfd_open: [434, 434],
    kexec_load: [246, 104],
    init_module: [175, 105],
    reboot: [169, 142],
    setrlimit: [160, 164],
    personality: [135, 92],
    quotactl: [179, 60],
    open_by_handle_at: [304, 265],
    memfd_secret: [447, 447]
  }
  const architectures = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
  const EPERM = 0x00050001
  const ENOSYS = 0x00050026
  const ALLOW = 0x7fff0000
  const KILL = 0x80000000

  /** Classic BPF as the kernel runs it (Documentation/networking/filter.rst), for the instructions we use. */
  function run(filter: Uint8Array, call: { arch: number; number: number; args?: number[] }): number {
    const data = Buffer.alloc(64)
    data.writeUInt32LE(call.number >>> 0, 0)
    data.writeUInt32LE(call.arch, 4)
    call.args?.forEach((value, i) => {
      data.writeBigUInt64LE(BigInt(value), 16 + 8 * i)
    })
    const code = Buffer.from(filter)
    let a = 0
    for (let at = 0; ; at++) {
      const [op, jt, jf, k] = [
        code.readUInt16LE(8 * at),
        code[8 * at + 2]!,
        code[8 * at + 3]!,
        code.readUInt32LE(8 * at + 4)
      ]
      if (op === 0x20) a = data.readUInt32LE(k)
      else if (op === 0x15) at += a === k ? jt : jf
      else if (op === 0x35) at += a >= k ? jt : jf
      else if (op === 0x45) at += (a & k) !== 0 ? jt : jf
      else if (op === 0x06) return k
      else assert.fail(`an instruction of no known kind: ${op}`)
    }
  }

  for (const name of ['x64', 'arm64'] as const) {
    const filter = seccompFilter(name)
    const arch = architectures[name]
    const column = name === 'x64' ? 0 : 1
    const answer = (number: number, ...args: number[]) => run(filter, { arch, number, args })

    it(`${name}: refuses what reaches beyond the process`, () => {
      for (const [call, numbers] of Object.entries(forbidden))
        assert.equal(answer(numbers[column]!), EPERM, call)
    })

    it(`${name}: lets threads be made, never processes`, () => {
      const clone = [56, 220][column]!
      assert.equal(answer(clone, 0x003d0f00), ALLOW) // the flags of pthread_create
      assert.equal(answer(clone, 17), EPERM) // fork: SIGCHLD
      assert.equal(answer(clone, 0x4111), EPERM) // vfork
      assert.equal(answer(435), ENOSYS)
    })

    it(`${name}: knows three questions to a device`, () => {
      const ioctl = [16, 29][column]!
      assert.equal(answer(ioctl, 0, 0x5401), ALLOW)
      assert.equal(answer(ioctl, 0, 0x5412), EPERM) // TIOCSTI: types into a terminal
    })

    it(`${name}: kills whoever comes as another architecture`, () => {
      assert.equal(run(filter, { arch: 0x40000003, number: 0 }), KILL) // i386
      if (name === 'x64') assert.equal(answer(0x40000000 + 41), KILL) // x32
    })

    it(`${name}: lets node read and write`, () => {
      assert.equal(answer([0, 63][column]!), ALLOW)
      assert.equal(answer([1, 64][column]!), ALLOW)
    })
  }
})

describe('sandbox: when its node dies', () => {
  for (const walled of [true, false]) {
    it(`takes every child with it, even one that loops ${walled ? 'behind' : 'without'} the walls`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'artel-sandbox-'))
      symlinkSync(findTools().setpriv!, join(folder, 'setpriv'))
      const toolPath = walled ? undefined : folder
      const script = join(folder, 'node.ts')
      const index = new URL('../../sandbox/index.ts', import.meta.url).href
      writeFileSync(
        script,
        `import { createSandbox, encodeValue } from ${JSON.stringify(index)}
         const sandbox = createSandbox({ warm: 2, toolPath: ${JSON.stringify(toolPath)} })
         await sandbox.start()
         const limits = { timeoutMs: 60000, memoryMb: 64, outputBytes: 1000 }
         const session = await sandbox.open({ kind: 'function', source: 'x => { for (;;); }' }, { limits, requester: 'a', trusted: true })
         session.run([encodeValue(1)])
         process.stdout.write('running')`
      )
      const node = spawn(process.execPath, ['--no-node-snapshot', script], {
        stdio: ['ignore', 'pipe', 'inherit']
      })
      try {
        await new Promise(resolve => node.stdout.once('data', resolve))
        const children = descendants(node.pid!)
        assert.ok(children.length >= 2)
        // no start takes so long
        await eventually('one of them loops', () => children.some(pid => cpuSeconds(pid) > 1))
        node.kill('SIGKILL')
        const alive = () =>
          children.filter(pid => !/^(Z|undefined)/.test(statusOf(pid, 'State') ?? 'undefined'))
        await eventually('every child is gone', () => alive().length === 0)
      } finally {
        node.kill('SIGKILL')
        rmSync(folder, { recursive: true })
      }
    })
  }
})
