import { strict as assert } from 'node:assert'
import { noise, pureJsCrypto } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { MessageStream } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { multiaddrConnectionPair } from '@libp2p/utils'
import fc from 'fast-check'
import type { Uint8ArrayList } from 'uint8arraylist'
import { wholeMessages } from '../../bootstrap/whole-messages.ts'
import { until } from './nodes.ts'

type Incoming = MessageStream & { onData(data: Uint8Array | Uint8ArrayList): void }

/** Two ends of a connection; what comes to the second is cut into pieces of these sizes, in turn, once it is encrypted. */
async function pair(sizes: readonly number[], inPlace = false) {
  const encrypter = async () =>
    wholeMessages(noise(inPlace ? { crypto: pureJsCrypto } : {}), { inPlace })({
      privateKey: await generateKeyPair('Ed25519'),
      logger: defaultLogger(),
      upgrader: { getStreamMuxers: () => new Map() }
    } as never)
  const [here, there] = multiaddrConnectionPair()
  const [sender, receiver] = await Promise.all([
    (await encrypter()).secureOutbound(here as never),
    (await encrypter()).secureInbound(there as never)
  ])
  const pieces: Uint8Array[] = []
  const { onData } = there as unknown as Incoming
  let turn = 0
  ;(there as unknown as Incoming).onData = data => {
    const bytes = data.subarray()
    for (let at = 0; at < bytes.length; ) {
      const piece = Uint8Array.from(bytes.subarray(at, at + sizes[turn++ % sizes.length]!))
      at += piece.length
      pieces.push(piece)
      onData.call(there, piece)
    }
  }
  const received: Uint8Array[] = []
  receiver.connection.addEventListener('message', ({ data }) => {
    received.push(data.slice())
  })
  return {
    sender: sender.connection,
    receiver: receiver.connection,
    there: there as unknown as Incoming,
    pieces,
    received: () => Buffer.concat(received)
  }
}

const bytesOf = (sizes: readonly number[]): Uint8Array[] =>
  sizes.map((size, i) => Uint8Array.from({ length: size }, (_, at) => at * 7 + i))

describe('bootstrap: whole messages of noise', () => {
  it('are the same, whatever pieces they come in', async () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 200_000 }))
    const sizes = fc.array(size, { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (messages, cuts) => {
        // a megabyte in pieces of one byte says no more than a small one
        const isSlow = Math.min(...cuts) < 100
        const sent = bytesOf(isSlow ? messages.map(each => each % 3_000 || 1) : messages)
        const { sender, received } = await pair(cuts)
        for (const message of sent) sender.send(message)
        const all = Buffer.concat(sent)
        await until(() => received().length >= all.length, 'all of it')
        assert.ok(received().equals(all))
      }),
      { numRuns: 40 }
    )
  })

  it('leave no memory of the pieces in which they come', async () => {
    const { sender, pieces, received } = await pair([40_000])
    const [sent] = bytesOf([1_000_000]) as [Uint8Array]
    sender.send(sent)
    await until(() => received().length >= sent.length, 'all of it')
    assert.ok(received().equals(sent))
    const kept = pieces.filter(({ buffer }) => buffer.byteLength > 0)
    assert.ok(kept.length <= 1, `${kept.length} of ${pieces.length} pieces`)
  })

  it('are not mixed up with those of others whose pieces come in between', async () => {
    const ends = await Promise.all([pair([1 << 20]), pair([1 << 20])])
    const sent = bytesOf([150_000, 150_000])
    const held = ends.map(({ there }) => {
      const pieces: Uint8Array[] = []
      const { onData } = there
      there.onData = data => {
        const bytes = data.slice()
        for (let at = 0; at < bytes.length; at += 20_000) pieces.push(bytes.slice(at, at + 20_000))
      }
      return { pieces, pass: (piece: Uint8Array) => onData.call(there, piece) }
    })
    for (const [i, { sender }] of ends.entries()) sender.send(sent[i]!)
    const whole = (): boolean =>
      held.every(({ pieces }) => pieces.reduce((sum, { length }) => sum + length, 0) > 150_000)
    await until(whole, 'all that is sent')
    while (held.some(({ pieces }) => pieces.length > 0))
      for (const { pieces, pass } of held) if (pieces.length > 0) pass(pieces.shift()!)
    for (const [i, { received }] of ends.entries()) assert.ok(received().equals(sent[i]!))
  })

  it('stay as they are in a browser, which decrypts them in place', async () => {
    const { sender, receiver } = await pair([40_000], true)
    const kept: Uint8Array[] = []
    receiver.addEventListener('message', ({ data }) => {
      kept.push(data.subarray())
    })
    const sent = bytesOf([100_000, 100_000])
    for (const message of sent) sender.send(message)
    await until(() => kept.reduce((sum, { length }) => sum + length, 0) >= 200_000, 'all of it')
    assert.ok(Buffer.concat(kept).equals(Buffer.concat(sent)))
  })

  it('are not mixed up where whoever reads them waits', async () => {
    const { sender, there, received } = await pair([40_000])
    // what is on the way comes all the same
    Object.assign(there, { sendPause() {}, sendResume() {} })
    there.pause()
    const sent = bytesOf([100_000, 100_000])
    for (const message of sent) sender.send(message)
    await until(() => there.readBufferLength > 200_000, 'what waits')
    there.resume()
    await until(() => received().length >= 200_000, 'all of it')
    assert.ok(received().equals(Buffer.concat(sent)))
  })
})
