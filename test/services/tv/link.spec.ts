import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Consumable } from '@yume-chan/stream-extra'
import { loadKey } from '../../../services/tv/adb/key.ts'
import { type LinkInit, openLink } from '../../../services/tv/adb/link.ts'
import { createPacketReader, packetsOn } from '../../../services/tv/adb/packets.ts'
import { hashOf, putFile } from '../../../services/tv/adb/put-file.ts'
import { commandLine, quote } from '../../../services/tv/adb/quote.ts'
import { openSession } from '../../../services/tv/adb/session.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createRandom } from '../../simulation/random.ts'
import { FakeDaemon, type FakeDaemonInit, type Mute } from './fake-daemon.ts'
import { FakeTv } from './fake-tv.ts'

/** What ends a command line, or begins another, where it is not quoted. */
const HOSTILE = [
  `'; reboot; echo '`,
  '"; reboot; echo "',
  '$(reboot)',
  '`reboot`',
  'a\nreboot\n',
  'a && reboot || reboot | reboot & > < * ? [a] {a,b} ~ # !',
  `'"'"'`,
  '\\',
  "\\'; reboot #",
  '',
  ' ',
  '-n',
  '$HOME $?',
  'Привет 🎬📺 \u202e ok',
  '\t\r\u0001\u001b[0m'
]

describe('tv: the link to its ADB daemon', function () {
  this.timeout(600_000)
  let folder: string
  const ends: (() => unknown)[] = []
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'artel-tv-'))
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function open(init: FakeDaemonInit = {}, settings: Partial<LinkInit> = {}) {
    const daemon = new FakeDaemon(init)
    await daemon.listen()
    const controller = new AbortController()
    const link = openLink({
      host: '127.0.0.1',
      port: daemon.port,
      key: await loadKey(folder, 'artel test'),
      signal: controller.signal,
      ...settings
    })
    const close = async (): Promise<void> => {
      controller.abort()
      await link.ended
      await daemon[Symbol.asyncDispose]()
    }
    ends.push(close)
    return { daemon, link, tv: daemon.tv, close }
  }
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

  it('shows its key once, when it is asked to, and proves it from then on', async () => {
    const { daemon, link } = await open({ newKeys: 'ask' })
    await rejects(link.run('true'), { name: 'TvDownError', message: /artel tv pair/ })
    deepEqual(daemon.offered, [])
    const paired = link.pair()
    await until(() => daemon.offered.length === 1, 'the question is on the screen')
    daemon.allow()
    await paired
    equal(text((await link.run('getprop ro.serialno')).out), 'TV-1\n')
    daemon.cut()
    await until(() => link.lamp === 'down', 'it is missed')
    await until(() => link.lamp === 'shell', 'it is there again')
    deepEqual(daemon.offered, ['artel test'])
    equal((await stat(join(folder, 'adb-key'))).mode & 0o777, 0o600)
    deepEqual((await loadKey(folder, '')).buffer, (await loadKey(folder, '')).buffer)
  })

  it('runs commands with their output and exit code, also on a TV from before shell v2', async () => {
    for (const isOld of [false, true]) {
      const { link } = await open({ isOld, isOpen: true })
      const answers = await Promise.all([
        link.run('echo one; echo two'),
        link.run('nonsense'),
        link.run('dumpsys audio')
      ])
      deepEqual(
        answers.map(({ code }) => code),
        [0, 127, 0]
      )
      equal(text(answers[0]!.out).trim(), 'one\ntwo')
      match(text(answers[1]!.out), /not found/)
      match(text(answers[2]!.out), /streamVolume:12/)
      const picture = await link.run('screencap')
      // 64 × 36 pixels behind 16 bytes; v1 adds an empty line of its own
      ok(picture.out.length - (16 + 64 * 36 * 4) in [0, 1])
    }
  })

  it('ends with an error of its own by the deadline, in whatever state the daemon becomes mute, and goes on', async () => {
    for (const mute of ['accept', 'connect', 'auth', 'open', 'data'] satisfies Mute[]) {
      const { daemon, link, close } = await open({ newKeys: 'take' }, { deadlineMs: 2_000, heartbeatMs: 500 })
      if (mute === 'open' || mute === 'data') await link.pair()
      daemon.mute = mute
      const asked = link.run('dumpsys power', { deadlineMs: 400 })
      await rejects(asked, ({ name }: Error) => /^Tv(Overdue|Down)Error$/.test(name))
      // TCP is up all the while: the heartbeat notices
      await until(() => link.lamp !== 'shell', `it is missed, mute from ${mute}`)
      daemon.mute = undefined
      if (mute !== 'open' && mute !== 'data') await link.pair()
      await until(() => link.lamp === 'shell', `it is there again after ${mute}`)
      equal((await link.run('true')).code, 0)
      await close()
    }
  })

  it('ends on the TV what nobody waits for any more, and lets who waits for his turn go', async () => {
    const { daemon, link } = await open({ isOpen: true }, { deadlineMs: 60_000, heartbeatMs: 600_000 })
    await link.run('true')
    daemon.mute = 'data'
    await rejects(link.run('dumpsys power', { deadlineMs: 400 }), { name: 'TvOverdueError' })
    await until(() => daemon.givenUp === 1, 'what is overdue is closed')
    const [first, second] = [new AbortController(), new AbortController()]
    const long = link.run('dumpsys audio', { signal: first.signal, deadlineMs: 100_000 })
    const waiting = link.run('true', { signal: second.signal })
    second.abort(new Error('no more'))
    await rejects(waiting, { message: 'no more' })
    equal(daemon.givenUp, 1, 'the one before goes on')
    first.abort(new Error('no more'))
    await rejects(long, { message: 'no more' })
    await until(() => daemon.givenUp === 2, 'what was stopped is closed')
    daemon.mute = undefined
    equal((await link.run('true')).code, 0)
  })

  it('takes nothing that is no packet', async () => {
    for (const spoil of ['magic', 'length', 'command'] as const) {
      const { daemon, link } = await open({ isOpen: true })
      await link.run('true')
      daemon.spoil = spoil
      await rejects(link.run('dumpsys power'), { name: 'TvProtocolError' })
      await until(() => link.lamp === 'shell' && daemon.sockets.size === 1, 'it is there again')
      equal((await link.run('true')).code, 0)
    }
    const random = createRandom(3)
    for (let i = 0; i < 10_000; i++) {
      const read = createPacketReader()
      const bytes = Buffer.alloc(Math.floor(random() * 60), Math.floor(random() * 256))
      for (let j = 0; j < bytes.length; j += 1 + Math.floor(random() * 7)) bytes[j] = random() * 256
      try {
        for (const _ of read(bytes));
      } catch (error) {
        equal((error as Error).name, 'TvProtocolError')
      }
    }
  })

  it('cuts packets out of chunks of any size', () => {
    const payload = randomBytes(5000)
    const packet = Buffer.concat([Buffer.alloc(24), payload])
    packet.write('WRTE')
    packet.writeUInt32LE(7, 4)
    packet.writeUInt32LE(payload.length, 12)
    packet.writeInt32LE(packet.readUInt32LE(0) ^ 0xffffffff, 20)
    const stream = Buffer.concat([packet, packet, packet])
    for (const size of [1, 23, 24, 25, 5023, 5024, 5025, stream.length]) {
      const read = createPacketReader()
      const got = []
      for (let at = 0; at < stream.length; at += size) got.push(...read(stream.subarray(at, at + size)))
      equal(got.length, 3)
      for (const each of got) {
        equal(each.arg0, 7)
        ok(payload.equals(each.payload))
      }
    }
  })

  it('writes to who is gone without an error that nobody waits for', async () => {
    await using daemon = new FakeDaemon({ isOpen: true })
    await daemon.listen()
    const socket = connect(daemon.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const writer = packetsOn(socket).writable.getWriter()
    socket.destroy()
    const packet = { command: 0, arg0: 0, arg1: 0, payload: new Uint8Array(), checksum: 0, magic: -1 }
    await Consumable.WritableStream.write(writer, packet)
  })

  it('passes texts on as they are: none of them runs', async () => {
    const { link, tv } = await open({ isOpen: true })
    for (const each of HOSTILE) {
      // what a shell of this machine makes of it
      equal(execFileSync('/bin/sh', ['-c', `printf %s ${quote(each)}`]).toString(), each)
      equal(text((await link.run(commandLine('printf', '%s', each))).out), each)
      await link.run(commandLine('input', 'text', each))
    }
    deepEqual(tv.typed, HOSTILE)
    deepEqual([tv.escapes, tv.reboots], [[], 0])
  })

  it('leaves no half file under its name: full, unplugged in the middle, altered on the way', async () => {
    const tv = new FakeTv({ room: 1_000_000 })
    const { daemon, link } = await open({ tv, isOpen: true })
    const path = "/sdcard/artel/it's 🎬.mp4"
    async function* chunked(bytes: Uint8Array) {
      for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000)
    }
    const put = (bytes: Uint8Array, sha256 = createHash('sha256').update(bytes).digest('hex')) =>
      putFile(link, path, chunked(bytes), sha256)
    const small = randomBytes(300_000)
    await put(small)
    ok(small.equals(tv.files.get(path)!))

    await rejects(put(randomBytes(900_000)), { name: 'TvFailedError', message: /No space left/ })
    await rejects(put(randomBytes(1000), 'f'.repeat(64)), { name: 'TvFailedError' })
    deepEqual([...tv.files.keys()], [path])

    daemon.cutAfterBytes = 200_000
    await rejects(put(randomBytes(400_000)), ({ name }: Error) => name.startsWith('Tv'))
    ok(small.equals(tv.files.get(path)!))
    await until(() => link.lamp === 'shell', 'it is there again')
    const next = randomBytes(400_000)
    await put(next)
    equal(await hashOf(link, path), createHash('sha256').update(next).digest('hex'))
    deepEqual([...tv.files.keys()], [path])
  })

  it('keeps nothing of connections that went wrong, and nothing that is said too late ends the node', async () => {
    const daemon = new FakeDaemon({ isOpen: true })
    await daemon.listen()
    const key = await loadKey(folder, 'artel test')
    const { signal } = new AbortController()
    const random = createRandom(5)
    const collect = (): number => {
      setFlagsFromString('--expose-gc')
      ;(runInNewContext('gc') as () => void)()
      return process.memoryUsage().heapUsed
    }
    const ways = ['magic', 'length', 'command', 'cut', 'leave', 'leave', 'none'] as const
    async function once(): Promise<void> {
      const way = ways[Math.floor(random() * ways.length)]!
      using session = await openSession({
        host: '127.0.0.1',
        port: daemon.port,
        key,
        deadlineMs: 5_000,
        onTcp: () => undefined,
        signal
      })
      const asked = Array.from({ length: 3 }, () =>
        session.adb.subprocess.noneProtocol.spawnWaitText('dumpsys audio')
      )
      if (way === 'cut') daemon.cut()
      else if (way === 'leave') setTimeout(() => session.socket.destroy(), random() * 4)
      else if (way !== 'none') daemon.spoil = way
      await Promise.race([Promise.allSettled(asked), session.gone])
      daemon.spoil = undefined
    }
    for (let i = 0; i < 200; i++) await once()
    const before = collect()
    for (let i = 0; i < 1_000; i++) await once()
    await until(() => daemon.sockets.size === 0, 'all are closed')
    const grownMb = (collect() - before) / 1024 / 1024
    ok(grownMb < 8, `${grownMb.toFixed(1)} MB are kept`)
    await daemon[Symbol.asyncDispose]()
  })

  it('is not reached where nothing listens, and stops at once', async () => {
    const { daemon, link } = await open({ isOpen: true })
    await daemon[Symbol.asyncDispose]()
    await until(() => link.lamp === 'down', 'it is missed')
    await rejects(link.run('true'), { name: 'TvDownError', message: /not connected/ })
  })
})

describe("tv: Debian's adb and the simulated daemon", function () {
  this.timeout(600_000)

  it('understand each other', async () => {
    await using daemon = new FakeDaemon()
    const place = await daemon.listen()
    const home = await mkdtemp(join(tmpdir(), 'artel-adb-'))
    const { execFile } = await import('node:child_process')
    const adb = (...words: string[]): Promise<string> =>
      new Promise((resolve, reject) =>
        execFile(
          'adb',
          // a server of its own
          ['-L', `localfilesystem:${join(home, 'server')}`, ...words],
          { timeout: 120_000, env: { ...process.env, HOME: home } },
          (error, out) => (error == null ? resolve(out) : reject(error))
        )
      )
    try {
      // it says that it failed, though the TV accepts a moment later
      await adb('connect', place).catch(() => undefined)
      await until(async () => /\tdevice$/m.test(await adb('devices')), 'it is a device')
      equal((await adb('-s', place, 'shell', "printf %s 'a; b'")).trim(), 'a; b')
      equal((await adb('-s', place, 'shell', '-x', 'getprop ro.serialno')).trim(), 'TV-1')
      await rejects(adb('-s', place, 'shell', 'nonsense'), { code: 127 })
      equal((await adb('-s', place, 'exec-out', 'screencap -p')).slice(1, 4), 'PNG')
    } finally {
      await adb('kill-server')
      await rm(home, { recursive: true, force: true })
    }
  })
})
