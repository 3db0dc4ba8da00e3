import { deepEqual, equal, ok, rejects, throws } from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import {
  BY_PARITY,
  type ByParity,
  PARITIES,
  type Parity,
  runsOf,
  TERMIOS_BYTES
} from '../../../services/sas/line/parity.ts'
import { openParityPort } from '../../../services/sas/line/parity-port.ts'
import { checkParities, type Libc, sendRuns } from '../../../services/sas/line/send-runs.ts'
import { openTransport } from '../../../services/sas/line/transport.ts'
import { openPty } from './pty.ts'

/* of <asm-generic/termbits.h> */
const [PARENB, PARODD, CMSPAR] = [0x100, 0x200, 0x40000000]
const LEFT = { fd: 1, name: 'tty', baudRate: 19_200 }
const isOdd = (byte: number): boolean => byte.toString(2).replaceAll('0', '').length % 2 === 1

/** The bit behind a byte, as these flags have it. */
function ninthBit(flags: number, byte: number): boolean | undefined {
  if ((flags & PARENB) === 0) return undefined
  const isPlain = (flags & PARODD) !== 0
  return (flags & CMSPAR) !== 0 ? isPlain : isOdd(byte) !== isPlain
}

/** A driver that keeps flags, but for those that it drops, and puts what is written on a wire of nine bits. */
function driver({ drops = 0, takes = Number.POSITIVE_INFINITY } = {}) {
  let flags = 0xcbd
  const wire: [number, boolean | undefined][] = []
  const libc: Libc = {
    tcgetattr(_, termios) {
      termios.writeUInt32LE(flags, 8)
      return 0
    },
    tcsetattr(_, _when, termios) {
      equal(termios.length, TERMIOS_BYTES)
      flags = (termios.readUInt32LE(8) & ~drops) >>> 0
      return 0
    },
    write(_, bytes, count) {
      for (const byte of bytes) wire.push([byte, ninthBit(flags, byte)])
      return Math.min(count, takes)
    },
    usleep: () => 0
  }
  return { libc, wire, flags: () => flags }
}
const message = (text: string) =>
  [...Buffer.from(text, 'hex')].map((byte, i) => ({ byte, isWakeUp: i === 0 }))

describe('sas: the wake-up bit by parity', () => {
  for (const by of BY_PARITY)
    it(`is on the first byte of a message and on no other, whatever they are: ${by}`, () => {
      for (let byte = 0; byte < 256; byte++) {
        const { libc, wire } = driver()
        // address 3 has an even number of ones: EVEN parity left it without the bit
        const [first, ...rest] = [byte, 0x03, byte, 0x01, 0xff, 0x00, byte]
        const all = [first!, ...rest].map((each, i) => ({ byte: each, isWakeUp: i === 0 }))
        sendRuns(libc, LEFT, runsOf(all, by))
        deepEqual(wire, [[first, true], ...rest.map(each => [each, false])])
      }
    })

  it('changes once in a message by mark and space, and leaves all else of the line as it is', () => {
    const { libc, flags } = driver()
    const runs = runsOf(message('012f090000240001040607038ae2'), 'markSpace')
    deepEqual(
      runs.map(({ parity, bytes }) => [parity, bytes.length]),
      [
        ['mark', 1],
        ['space', 13]
      ]
    )
    sendRuns(libc, LEFT, runs)
    equal(flags(), 0xcbd | PARENB | CMSPAR)
  })

  it('is counted where a pause between two bytes is longer than a machine waits', () => {
    const { libc } = driver()
    const runs = runsOf(message('012f090000240001040607038ae2'), 'markSpace')
    // a busy computer may stand still by itself now and then
    ok(Array.from({ length: 20 }, () => sendRuns(libc, LEFT, runs)).some(({ isLate }) => !isLate))
    // the computer stands still there
    const still: Libc = {
      ...libc,
      usleep() {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
        return 0
      }
    }
    deepEqual(sendRuns(still, LEFT, runs), { isLate: true })
  })

  it('is refused by name where a driver leaves a parity out, or takes no more bytes', () => {
    const check = (by: ByParity, drops: number, parities: readonly Parity[] = PARITIES[by]): void =>
      checkParities(driver({ drops }).libc, 1, 'tty', parities)
    for (const by of BY_PARITY) check(by, 0)
    check('evenOdd', CMSPAR)
    throws(() => check('markSpace', CMSPAR), { name: 'LineError', message: /tty does not take mark parity/ })
    for (const by of BY_PARITY)
      for (const drops of [PARENB, PARODD]) throws(() => check(by, drops), { name: 'LineError' })
    const gone: Libc = { ...driver().libc, tcgetattr: () => -1 }
    throws(() => checkParities(gone, 1, 'tty', PARITIES.evenOdd), { name: 'LineError' })
    const full = driver({ takes: 1 }).libc
    throws(
      () => sendRuns(full, LEFT, runsOf(message('0154'), 'evenOdd').concat({ parity: 'odd', bytes: [1, 2] })),
      {
        name: 'LineError',
        message: /took 1 of 2 bytes/
      }
    )
  })

  it('begins no thread for what is over, and closes the port all the same', async () => {
    const port = Object.assign(new PassThrough(), { port: { fd: 0 } })
    const init = { ...LEFT, by: 'markSpace', onLate() {}, onSlow() {} } as const
    await rejects(openParityPort(port as never, init, AbortSignal.abort(new Error('over'))), /^Error: over$/)
    ok(port.closed)
  })

  it('is refused by a pseudo terminal, which says yes to each and keeps none; what was opened is closed, whoever did', async function () {
    this.timeout(60_000)
    await using ended = new AsyncDisposableStack()
    const folder = await mkdtemp(join(tmpdir(), 'artel-sas-parity-'))
    ended.defer(() => rm(folder, { recursive: true, force: true }))
    const sockets = new Set<Socket>()
    const server = createServer(socket => void sockets.add(socket.on('error', () => undefined)))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ended.defer(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const path = join(folder, 'tty')
    ended.use(await openPty(path, (server.address() as AddressInfo).port))
    const { signal } = new AbortController()
    const none = { onLate: () => undefined, onSlow: () => undefined }
    const open = (by?: ByParity) => openTransport(path, 19_200, signal, by && { by, ...none })
    await rejects(open('markSpace'), { name: 'LineError', message: /tty does not take mark parity/ })
    await rejects(open('evenOdd'), { name: 'LineError', message: /tty does not take even parity/ })
    for (let i = 0; i < 2; i++) {
      const port = await open()
      port.destroy()
      await once(port, 'close')
    }
  })
})
