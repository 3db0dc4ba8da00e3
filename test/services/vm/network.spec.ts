import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { createGateway, GATEWAY, GATEWAY_MAC, GUEST } from '../../../services/vm/network/gateway.ts'
import {
  ACK,
  ARP,
  checksum,
  ethernet,
  FIN,
  IPV4,
  ip,
  openEthernet,
  openIp,
  openTcp,
  openUdp,
  PSH,
  RST,
  type Segment,
  SYN,
  TCP,
  tcp,
  UDP,
  udp
} from '../../../services/vm/network/packets.ts'
import { receive } from '../../../services/vm/peers/forwards.ts'

const MAC = Buffer.from('525400123456', 'hex')
const NOTHING = Buffer.alloc(0)

/** A gateway and what it has sent since it was looked at last. */
function open() {
  const frames: Buffer[] = []
  const gateway = createGateway(MAC, frame => frames.push(frame))
  const heard = () => frames.splice(0).map(frame => openEthernet(frame)!)
  return {
    gateway,
    heard,
    segments: () => heard().map(({ payload }) => openTcp(openIp(payload)!.payload)!),
    say: (segment: Partial<Segment> & Pick<Segment, 'to' | 'flags'>) =>
      gateway.receive(
        ethernet(
          GATEWAY_MAC,
          MAC,
          IPV4,
          ip({
            ...{ protocol: TCP, from: GUEST, to: GATEWAY },
            payload: tcp(GUEST, GATEWAY, {
              ...{ from: 80, seq: 0, ack: 0, window: 65_535, payload: NOTHING },
              ...segment
            })
          })
        )
      )
  }
}

describe('the network of a guest', () => {
  it('sums as RFC 1071 does, and every head that is sent sums to zero', async () => {
    assert.equal(checksum([Buffer.from('0001f203f4f5f6f7', 'hex')]), 0x220d)
    const { gateway, heard } = open()
    gateway.connect(80).on('error', () => {})
    await wait(0)
    const { payload } = heard()[0]!
    assert.equal(checksum([payload.subarray(0, 20)]), 0)
    const segment = payload.subarray(20)
    const pseudo = Buffer.concat([GATEWAY, GUEST, Buffer.from([0, 6, 0, segment.length])])
    assert.equal(checksum([pseudo, segment]), 0)
    gateway.close()
  })

  it('gives the guest its one address, and tells where the gateway is and nobody else', () => {
    const { gateway, heard } = open()
    const discover = Buffer.alloc(244)
    discover.set([1, 1, 6, 0, 0xaa, 0xbb, 0xcc, 0xdd])
    MAC.copy(discover, 28)
    discover.set([99, 130, 83, 99, 53, 1, 1, 255], 236)
    const ask = (payload: Buffer) =>
      gateway.receive(
        ethernet(
          Buffer.alloc(6, 255),
          MAC,
          IPV4,
          ip({
            ...{ protocol: UDP, from: Buffer.alloc(4), to: Buffer.alloc(4, 255) },
            payload: udp(Buffer.alloc(4), Buffer.alloc(4, 255), 68, 67, payload)
          })
        )
      )
    for (const [kind, answered] of [
      [1, 2],
      [3, 5]
    ] as const) {
      discover[242] = kind
      ask(discover)
      const { payload } = heard()[0]!
      const told = openUdp(openIp(payload)!.payload)!.payload
      assert.deepEqual([...told.subarray(0, 3)], [2, 1, 6])
      assert.deepEqual([...told.subarray(4, 8)], [0xaa, 0xbb, 0xcc, 0xdd])
      assert.deepEqual([...told.subarray(16, 20)], [10, 0, 2, 15])
      assert.ok(told.includes(Buffer.from([53, 1, answered])))
    }
    const arp = (target: number[]) =>
      gateway.receive(
        ethernet(
          Buffer.alloc(6, 255),
          MAC,
          ARP,
          Buffer.concat([
            Buffer.from([0, 1, 8, 0, 6, 4, 0, 1]),
            ...[MAC, GUEST, Buffer.alloc(6), Buffer.from(target)]
          ])
        )
      )
    arp([10, 0, 2, 3])
    assert.equal(heard().length, 0)
    arp([10, 0, 2, 2])
    assert.deepEqual(heard()[0]!.payload.subarray(8, 18), Buffer.concat([GATEWAY_MAC, GATEWAY]))
  })

  it('lets nobody out: what the guest opens is refused, what is for others is not heard', () => {
    const { gateway, say, segments, heard } = open()
    say({ to: 22, flags: SYN, seq: 7 })
    assert.deepEqual(
      segments().map(({ flags, ack, to }) => [flags, ack, to]),
      [[RST | ACK, 8, 80]]
    )
    const elsewhere = tcp(GUEST, Buffer.from([1, 1, 1, 1]), {
      ...{ from: 1, to: 80, seq: 0, ack: 0, flags: SYN, window: 0, payload: NOTHING }
    })
    const packet = ip({ protocol: TCP, from: GUEST, to: Buffer.from([1, 1, 1, 1]), payload: elsewhere })
    gateway.receive(ethernet(GATEWAY_MAC, MAC, IPV4, packet))
    assert.deepEqual(heard(), [])
  })

  it('carries bytes in order, says again what was lost, and ends when both have', async () => {
    const { gateway, say, segments } = open()
    const connection = gateway.connect(80)
    await wait(0)
    const [opening] = segments()
    assert.deepEqual([opening!.flags, opening!.to, opening!.mss], [SYN, 80, 1_460])
    const at = (bytes: number) => (opening!.seq + 1 + bytes) >>> 0
    const to = opening!.from
    const guestAt = (bytes: number) => (0xfffffff0 + 1 + bytes) >>> 0
    say({ to, flags: SYN | ACK, seq: 0xfffffff0, ack: at(0), mss: 600, window: 1_000 })
    await wait(0)
    segments()
    connection.write(Buffer.alloc(1_500, 'x'))
    const sent = () => segments().filter(({ payload }) => payload.length > 0)
    // no more than the guest takes, in pieces as it wants them
    assert.deepEqual(
      sent().map(({ seq, payload }) => [seq, payload.length]),
      [
        [at(0), 600],
        [at(600), 400]
      ]
    )
    // nothing is acknowledged: the same again
    await until(() => sent().some(({ seq }) => seq === at(0)))
    say({ to, flags: ACK, seq: guestAt(0), ack: at(1_000), window: 0 })
    // a closed window is looked at with one byte
    await until(() => sent().some(({ seq, payload }) => seq === at(1_000) && payload.length === 1))
    say({ to, flags: ACK, seq: guestAt(0), ack: at(1_001), window: 65_535 })
    assert.deepEqual(
      sent().map(({ seq, payload }) => [seq, payload.length]),
      [[at(1_001), 499]]
    )
    const came = text(connection)
    const hears = (from: number, words: string, flags = ACK | PSH) =>
      say({ to, flags, seq: guestAt(from), ack: at(1_500), payload: Buffer.from(words) })
    // the second before the first is not taken, one that comes twice is there once; numbers begin again at 2^32
    hears(6, 'world ')
    assert.equal(segments().at(-1)!.ack, guestAt(0))
    hears(0, 'hello ')
    hears(0, 'hello ')
    hears(6, 'world ')
    hears(0, 'hello world again', ACK | FIN)
    assert.equal(segments().at(-1)!.ack, guestAt(18))
    assert.equal(await came, 'hello world again')
    connection.end()
    await wait(0)
    assert.ok((segments().at(-1)!.flags & FIN) !== 0)
    const closed = new Promise(resolve => connection.once('close', resolve))
    say({ to, flags: ACK, seq: guestAt(18), ack: at(1_501) })
    await closed
    assert.deepEqual(segments(), [])
  })

  it('tells a guest that there is room again, when somebody reads and when it asks', async () => {
    const { gateway, say, segments } = open()
    const connection = gateway.connect(80)
    await wait(0)
    const [{ from: to, seq }] = segments() as [Segment]
    const ack = (seq + 1) >>> 0
    say({ to, flags: SYN | ACK, seq: 99, ack })
    const bytes = randomBytes(65_535)
    for (let at = 0; at < bytes.length; at += 1_460)
      say({ to, flags: ACK | PSH, seq: 100 + at, ack, payload: bytes.subarray(at, at + 1_460) })
    assert.equal(segments().at(-1)!.window, 0)
    // nobody reads: what comes nevertheless is not taken, a question is answered
    for (const payload of [Buffer.from('x'), NOTHING]) {
      say({ to, flags: ACK, seq: payload.length === 0 ? 65_634 : 65_635, ack, payload })
      assert.deepEqual(
        segments().map(({ ack, window }) => [ack, window]),
        [[65_635, 0]]
      )
    }
    assert.deepEqual(connection.read(), bytes)
    assert.deepEqual(
      segments().map(({ ack, window }) => [ack, window]),
      [[65_635, 65_535]]
    )
    gateway.close()
  })

  it('what came for a slow reader has left the node before its connection is closed', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const reader = connect((server.address() as AddressInfo).port, '127.0.0.1')
      const [socket] = (await once(server, 'connection')) as [Socket]
      let sent = 0
      async function* pieces() {
        // until the system takes no more, and the rest waits in this process
        for (; socket.writableLength === 0; sent += 32_768) {
          yield { bytes: new Uint8Array(32_768) }
          await wait(0)
        }
        yield { bytes: new Uint8Array() }
      }
      const received = receive(pieces(), socket).finally(() => socket.destroy())
      await until(() => socket.writableEnded)
      await wait(0)
      assert.equal((await buffer(reader)).length, sent)
      await received
    } finally {
      server.close()
    }
  })

  it('a port at which nothing listens is refused', async () => {
    const { gateway, say, segments } = open()
    const connection = gateway.connect(81)
    const failed = new Promise<NodeJS.ErrnoException>(resolve => connection.once('error', resolve))
    await wait(0)
    const [{ from, seq }] = segments() as [Segment]
    say({ to: from, from: 81, flags: RST | ACK, ack: (seq + 1) >>> 0 })
    assert.equal((await failed).code, 'ECONNREFUSED')
  })

  it('survives whatever a guest sends', async () => {
    const { gateway } = open()
    const connection = gateway.connect(80)
    connection.on('error', () => {})
    await wait(0)
    const type = fc.constantFrom(IPV4, ARP, 0)
    const noise = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
    const inside = fc
      .record({ type, noise })
      .map(({ type, noise }) => ethernet(GATEWAY_MAC, MAC, type, noise))
    const deeper = fc
      .record({ protocol: fc.constantFrom(TCP, UDP), payload: noise })
      .map(fields => ethernet(GATEWAY_MAC, MAC, IPV4, ip({ ...fields, from: GUEST, to: GATEWAY })))
    fc.assert(fc.property(fc.oneof(noise, inside, deeper), frame => gateway.receive(frame)))
    gateway.close()
  })
})

async function until(look: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 60_000; !look(); await wait(10))
    if (Date.now() > deadline) throw new Error('nothing came within 60 s')
}
