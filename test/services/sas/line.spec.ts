import { deepEqual, equal } from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { generalPoll, longPoll, metersPoll, readPoll } from '../../../services/sas/frames.ts'
import { createDecoder, encodeAnswer, encodeMessage } from '../../../services/sas/line/in-band.ts'
import { createLine } from '../../../services/sas/line/line.ts'
import { placeOf } from '../../../services/sas/line/name.ts'
import { openTransport } from '../../../services/sas/line/transport.ts'
import { openPty } from './pty.ts'

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex')
const BLOCKED_MS = 200
const ROUNDS = 15
const LEAD = Uint8Array.of(0x80)
/** nobody wakes who waits for it */
const STILL = new Int32Array(new SharedArrayBuffer(4))

describe('sas: a line', () => {
  it('has the wake-up bit as PARMRK marks it, however the bytes come', () => {
    deepEqual([...encodeMessage(hex('01ff54'))], [...hex('ff0001ffff54')])
    deepEqual([...encodeMessage(hex('ff'))], [...hex('ff00ff')])
    deepEqual(encodeAnswer(hex('0100ff')), [...hex('0100ffff')])
    // whatever the parity of its address is
    for (let address = 1; address < 128; address++)
      deepEqual([...encodeMessage(Uint8Array.of(address, 0x54))], [0xff, 0x00, address, 0x54])
    const heard: [number, boolean][] = []
    const decode = createDecoder((byte, isWakeUp) => heard.push([byte, isWakeUp]))
    // what is neither is left out
    for (const byte of hex('ff0001ffff54ff0200ff00ff')) decode(Uint8Array.of(byte))
    deepEqual(heard, [
      [0x01, true],
      [0xff, false],
      [0x54, false],
      [0x00, false],
      [0xff, true]
    ])
  })

  it('takes for an answer neither what was there before, nor the address that a deaf machine says', async () => {
    const [here, there] = duplexPair()
    there.write(hex('1101'))
    using line = createLine({ name: 'test', transport: here, answerMs: 200 })
    there.on('data', (bytes: Buffer) => {
      // once the poll is there
      if (bytes.includes(0x81)) there.write(hex('010112'))
    })
    deepEqual(await line.ask(generalPoll(1), new AbortController().signal), Uint8Array.of(0x12))
  })

  it('waits for no answer to what is for everybody, and takes what comes all the same for none to the next poll', async () => {
    const [here, there] = duplexPair()
    using line = createLine({ name: 'test', transport: here, answerMs: 200 })
    const { signal } = new AbortController()
    const asked: string[] = []
    there.on('data', (bytes: Buffer) => {
      asked.push(bytes.toString('hex'))
      // nobody may answer to all, and somebody does
      if (asked.length === 1) there.write(hex('17'))
      else there.write(hex('12'))
    })
    equal(await line.ask(longPoll(1, 0x0e, hex('00')).with(0, 0), signal), undefined)
    deepEqual(await line.ask(generalPoll(1), signal), Uint8Array.of(0x12))
    deepEqual(
      asked.map(each => each.slice(0, 6)),
      ['ff0000', 'ff0081']
    )
  })

  it('hears an answer that came while the event loop stood still for longer than one may take', async () => {
    const server = createServer(socket =>
      socket.on('data', () => {
        socket.write(hex('12'))
        // it is here, and nobody reads it
        Atomics.wait(STILL, 0, 0, 3 * BLOCKED_MS)
      })
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const { signal } = new AbortController()
      const { port } = server.address() as AddressInfo
      const transport = await openTransport(`tcp://127.0.0.1:${port}`, 19_200, signal)
      using line = createLine({ name: 'test', transport, answerMs: BLOCKED_MS })
      deepEqual(await line.ask(generalPoll(1), signal), Uint8Array.of(0x12))
    } finally {
      server.close()
    }
  })

  it('sends messages in one piece though the event loop stands still again and again', async function () {
    this.timeout(120_000)
    const folder = await mkdtemp(join(tmpdir(), 'artel-sas-line-'))
    const thread = new Worker(new URL('./wire-thread.ts', import.meta.url))
    let blocking: NodeJS.Timeout | undefined
    try {
      const [port] = (await once(thread, 'message')) as [number]
      await using _pty = await openPty(join(folder, 'tty'), port)
      const { signal } = new AbortController()
      const transport = await openTransport(join(folder, 'tty'), 19_200, signal)
      using line = createLine({ name: 'tty', transport, answerMs: 500 })
      // as many bytes as go into one message, those that are marked too
      const polls = [LEAD, readPoll(1, 0x54), metersPoll(1, 0, [0, 1, 2, 3, 4, 5, 6, 7, 11, 36])]
      blocking = setInterval(() => Atomics.wait(STILL, 0, 0, BLOCKED_MS), BLOCKED_MS + 50)
      const asked: string[] = []
      const ask = (poll: Uint8Array): Promise<Uint8Array | undefined> => {
        asked.push(Buffer.from(poll).toString('hex'))
        return line.ask(poll, signal)
      }
      for (let round = 0; round < ROUNDS; round++)
        for (const poll of polls) {
          // nobody answers to all; a busy computer may take longer than a machine, which is deaf then
          while ((await ask(poll))?.[1] !== poll[1]) await ask(LEAD)
        }
      clearInterval(blocking)
      const heard = once(thread, 'message')
      thread.postMessage('end')
      deepEqual(await heard, [asked])
    } finally {
      clearInterval(blocking)
      await thread.terminate()
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('is named with an address behind it', () => {
    deepEqual(placeOf('/dev/ttyUSB0'), { line: '/dev/ttyUSB0', address: 1 })
    deepEqual(placeOf('tcp://10.0.0.7:4001#16'), { line: 'tcp://10.0.0.7:4001', address: 16 })
    deepEqual(placeOf('tcp://[::1]:4001#2'), { line: 'tcp://[::1]:4001', address: 2 })
    for (const wrong of [
      '',
      'ttyUSB0',
      '/dev/ttyUSB0#17',
      '/dev/x#0',
      'tcp://host',
      'tcp://host:70000',
      '\0'
    ])
      equal(placeOf(wrong), undefined, wrong)
  })
})
