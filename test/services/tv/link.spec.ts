import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, createPrivateKey, createPublicKey, randomBytes, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Consumable } from '@yume-chan/stream-extra'
import { findPort, readAnswer } from '../../../services/tv/adb/find-port.ts'
import { loadKey } from '../../../services/tv/adb/key.ts'
import { type LinkInit, openLink } from '../../../services/tv/adb/link.ts'
import { createPacketReader, packetsOn } from '../../../services/tv/adb/packets.ts'
import { pairByCode } from '../../../services/tv/adb/pair-by-code.ts'
import { hashOf, putFile } from '../../../services/tv/adb/put-file.ts'
import { commandLine, quote } from '../../../services/tv/adb/quote.ts'
import { openSession } from '../../../services/tv/adb/session.ts'
import { createSpake2 } from '../../../services/tv/adb/spake2.ts'
import { certificateOf } from '../../../services/tv/adb/tls.ts'
import { placeOf } from '../../../services/tv/place.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createRandom } from '../../simulation/random.ts'
import { FakeDaemon, type FakeDaemonInit, type Mute } from './fake-daemon.ts'
import { answerOf, FakeMdns } from './fake-mdns.ts'
import { showPairingCode } from './fake-pairing.ts'
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
      deadlineMs: 120_000,
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

  it('asks a TV for its port, again whenever it connects, and believes nobody else', async () => {
    await using mdns = await FakeMdns.listen()
    const ask = (host: string, deadlineMs: number) => (signal: AbortSignal) =>
      findPort(host, deadlineMs, signal, [{ address: '127.0.0.1', port: mdns.port }])
    await using next = new FakeDaemon({ tv: new FakeTv({ serial: 'TV-2' }), isOpen: true })
    await next.listen()
    const { daemon, link } = await open({ isOpen: true }, { port: ask('127.0.0.1', 60_000) })
    mdns.tells = daemon.port
    equal(text((await link.run('getprop ro.serialno')).out), 'TV-1\n')
    mdns.tells = next.port
    daemon.cut()
    await until(() => next.sockets.size > 0, 'it is at its next port')
    await until(() => link.lamp === 'shell', 'it is up')
    equal(text((await link.run('getprop ro.serialno')).out), 'TV-2\n')
    deepEqual(placeOf('tv-1 10.0.0.2:wireless line=2'), {
      name: 'tv-1',
      host: '10.0.0.2',
      tags: { line: '2' }
    })
    equal(placeOf('tv-1 tv.local:wireless'), undefined)
    const { signal } = new AbortController()
    await rejects(ask('127.0.0.2', 1_000)(signal), {
      name: 'TvDownError',
      message: /127\.0\.0\.2 says no port/
    })
    await rejects(ask('127.0.0.1', 60_000)(AbortSignal.abort(new Error('over'))), /over/)

    equal(readAnswer(answerOf('tv', 5_555)).port, 5_555)
    deepEqual(readAnswer(answerOf('tv')), { names: ['tv._adb-tls-connect._tcp.local'] })
    for (const wrong of [
      Buffer.alloc(0),
      randomBytes(200),
      answerOf('tv', 5_555).subarray(0, 40),
      answerOf('tv', 0),
      answerOf('tv', 5_555, '_adb-tls-pairing')
    ])
      deepEqual(readAnswer(wrong).port, undefined)
  })

  it('speaks TLS to a TV that demands it, and makes its key known there by the code on the screen', async () => {
    const { daemon, link } = await open({ isTls: true })
    await rejects(link.run('true'), { name: 'TvDownError', message: /--code/ })
    await rejects(link.pair(), { name: 'TvDownError', message: /--code/ })
    const key = await loadKey(folder, 'artel test')
    await using shown = await showPairingCode(daemon, '402817')
    const init = {
      host: '127.0.0.1',
      port: shown.port,
      key,
      deadlineMs: 60_000,
      signal: AbortSignal.timeout(60_000)
    }
    await rejects(pairByCode({ ...init, code: '402818' }), { name: 'TvFailedError' })
    deepEqual([daemon.keys.length, daemon.offered], [0, []])
    await pairByCode({ ...init, code: '402817' })
    deepEqual(daemon.offered, ['artel test'])
    await link.pair()
    equal(text((await link.run('getprop ro.serialno')).out), 'TV-1\n')
    equal((await link.run('screencap')).out.length, 16 + 64 * 36 * 4)
    const file = randomBytes(400_000)
    await putFile(link, '/sdcard/a', [file] as never, createHash('sha256').update(file).digest('hex'))
    for (const spoil of ['magic', 'length'] as const) {
      daemon.spoil = spoil
      await rejects(link.run('dumpsys power'), { name: 'TvProtocolError' })
      await until(() => link.lamp === 'shell' && daemon.sockets.size === 1, 'it is there again')
    }
    daemon.cut()
    await until(() => link.lamp === 'down', 'it is missed')
    await until(() => link.lamp === 'shell', 'it is there again')
    await rejects(pairByCode({ ...init, port: 1, code: '402817' }), { name: 'TvDownError' })
  })

  it('agrees on keys as BoringSSL does, and has a certificate that its key has signed', async () => {
    // SPAKE2_generate_msg and SPAKE2_process_msg of Debian's android-libboringssl 13.0.0, the other end each time
    const seen = [
      {
        side: 'client',
        password:
          '8a3b60bed68dadc753d4901aeaef7afa97ea2d5522e8eea02feaa12cb4d74f0b8c88bc9bc7fb0c00be98fd1dbcf45de3afca4713238c32e97538e2bfaa9ec2b3ec96f485e4e7',
        secret: 7,
        theirs: 'dbbe848c4cf37ce067723edae06c157987c2f292756f09ecb1da00afcfadfe98',
        key: '9f8e9421ef483784ba60af11ea009b73c9362fbc4a8f8af55d5dfbe9e9c5e11c622511505105be032e1a04149127f58235b5bdcefe692fd056a2a9b4733377e9'
      },
      {
        side: 'server',
        password:
          '8732fdc5419eefd071d8a326553ab718a0d73962e12710985b97105b1035d68df41fd73f8d3c91a6bb65ae3860af0e5de11252e934941dc2d1d106ab2de6dd1bcaa4b29a81f9',
        secret: 8,
        theirs: 'd521490e596a9be521b9665549e00f0fcf464309e78fe24d6bc5499a080b26d5',
        key: '7d98fdf843fe55430913f2b44cf6de25d0b14714c0c05bdcb426cc8fed737978462c3638e55c5a301a653381656cebaf5c6f1572ece828bde6b411502898f9d6'
      }
    ] as const
    for (const { side, password, secret, theirs, key } of seen) {
      const end = createSpake2(side, Buffer.from(password, 'hex'), Buffer.alloc(64, secret))
      equal(Buffer.from(end.keyFrom(Buffer.from(theirs, 'hex'))).toString('hex'), key)
      // y = 2 has no x
      throws(() => end.keyFrom(Buffer.of(2, ...Buffer.alloc(31))), { name: 'TvProtocolError' })
    }
    const own = await loadKey(folder, 'artel test')
    const key = createPublicKey(
      createPrivateKey({ key: Buffer.from(own.buffer), format: 'der', type: 'pkcs8' })
    )
    const certificate = new X509Certificate(certificateOf(own))
    ok(certificate.verify(key) && certificate.publicKey.equals(key))
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
      // where the machine stands still this end misses a deadline, too
      const isPaired = (): Promise<boolean> =>
        link.pair().then(
          () => true,
          () => false
        )
      const isWell = (): Promise<boolean> =>
        link.run('true').then(
          ({ code }) => code === 0,
          () => false
        )
      if (mute === 'open' || mute === 'data') await until(isPaired, 'it is paired')
      daemon.mute = mute
      const asked = link.run('dumpsys power', { deadlineMs: 400 })
      await rejects(asked, ({ name }: Error) => /^Tv(Overdue|Down)Error$/.test(name))
      // TCP is up all the while: the heartbeat notices
      await until(() => link.lamp !== 'shell', `it is missed, mute from ${mute}`)
      daemon.mute = undefined
      if (mute !== 'open' && mute !== 'data') await until(isPaired, 'it is paired')
      await until(isWell, `it is there again after ${mute}`)
      await close()
    }
  })

  it('ends on the TV what nobody waits for any more, and lets who waits for his turn go', async () => {
    const { daemon, link } = await open({ isOpen: true }, { deadlineMs: 60_000, heartbeatMs: 600_000 })
    await link.run('true')
    daemon.mute = 'data'
    const before = daemon.opened.length
    const asked = (): number => daemon.opened.length - before
    // where the machine stands still it is overdue before it was asked
    while (asked() === 0)
      await rejects(link.run('dumpsys power', { deadlineMs: 400 }), { name: 'TvOverdueError' })
    await until(() => daemon.givenUp === asked(), 'what is overdue is closed')
    const closed = daemon.givenUp
    const [first, second] = [new AbortController(), new AbortController()]
    const long = link.run('dumpsys audio', { signal: first.signal, deadlineMs: 100_000 })
    const waiting = link.run('true', { signal: second.signal })
    second.abort(new Error('no more'))
    await rejects(waiting, { message: 'no more' })
    equal(daemon.givenUp, closed, 'the one before goes on')
    first.abort(new Error('no more'))
    await rejects(long, { message: 'no more' })
    await until(() => daemon.givenUp === closed + 1, 'what was stopped is closed')
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
    const writer = packetsOn(socket, plain => plain).writable.getWriter()
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
        deadlineMs: 120_000,
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
