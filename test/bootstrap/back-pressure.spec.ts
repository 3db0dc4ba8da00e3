import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { AbstractMessageStream } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { exchangeFrames, frame } from '../../bootstrap/framing.ts'

const MESSAGE = new Uint8Array(1 << 20)

/** A stream of libp2p whose other end is the test; `mayCome`: whether that end is told to go on. */
class Given extends AbstractMessageStream {
  mayCome = true
  constructor() {
    super({ log: defaultLogger().forComponent('test') })
  }
  give(data: Uint8ArrayList): void {
    this.onData(data)
  }
  async close(): Promise<void> {}
  sendData(data: Uint8ArrayList) {
    return { sentBytes: data.byteLength, canSendMore: true }
  }
  sendReset(): void {}
  async sendCloseWrite(): Promise<void> {}
  async sendCloseRead(): Promise<void> {}
  sendPause(): void {
    this.mayCome = false
  }
  sendResume(): void {
    this.mayCome = true
  }
}

describe('bootstrap: back-pressure of frames', () => {
  it('tells the sender to wait as long as what he sent is not taken, whatever came at once', async () => {
    const stream = new Given()
    const io = exchangeFrames(stream as unknown as Stream)
    // three messages before the sender hears that he is to wait, three more on the way when he does
    for (let i = 0; i < 3; i++) stream.give(frame(MESSAGE, MESSAGE.length))
    await turn()
    assert.equal(stream.mayCome, false)
    for (let i = 0; i < 3; i++) stream.give(frame(MESSAGE, MESSAGE.length))
    const read = () => io.read({ maxBytes: MESSAGE.length, signal: AbortSignal.timeout(60_000) })
    for (let left = 6; left > 0; left--) {
      assert.equal((await read())?.length, MESSAGE.length)
      await turn()
      const waiting = (left - 1) * MESSAGE.length
      if (waiting > 2 * MESSAGE.length) assert.equal(stream.mayCome, false, `${left - 1} messages wait`)
      assert.equal(stream.readStatus === 'paused', !stream.mayCome, 'a paused stream opens no window')
    }
  })
})
