import { deepEqual, equal } from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { generalPoll, longPoll } from '../../../services/sas/frames.ts'
import { createDecoder, encodeAnswer, encodeMessage } from '../../../services/sas/line/in-band.ts'
import { createLine } from '../../../services/sas/line/line.ts'
import { placeOf } from '../../../services/sas/line/name.ts'

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex')

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
