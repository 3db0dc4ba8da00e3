import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decode, encode } from '@ipld/dag-cbor'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import { createOrbitDB, Entry, type EntryValue, type OrbitIdentity } from '@orbitdb/core'
import { createSigner, type Signer } from '../../ledger/index.ts'
import { encodeItems } from '../../ledger/replicate/replica.ts'
import { bookOf, newKey, startNetwork, startPeer, type TestNetwork, type TestNode, until } from './nodes.ts'

/** OrbitDB's manifest of the log of a witness, as every node calculates it. */
const openLog = (orbitdb: any, net: TestNetwork, witness: number, canAppend: () => Promise<boolean>) =>
  orbitdb.open(`artel/${net.network.id}/0/${net.network.witnesses[witness]}`, {
    type: 'events',
    AccessController: async () => ({
      type: 'artel-witness',
      address: `/artel-witness/${net.network.witnesses[witness]}`,
      canAppend
    })
  })

/** The identity of an account, or with `as` somebody else's name and key over a signature of the own key. */
function identityOf(signer: Signer, as: string = signer.account): OrbitIdentity {
  return {
    id: as,
    publicKey: Buffer.from(peerIdFromString(as).publicKey!.raw).toString('hex'),
    hash: as,
    type: 'artel',
    sign: async (_, bytes) => Buffer.from(signer.sign('artel/ledger/entry/1', bytes)).toString('hex'),
    verify: async () => true
  }
}

/** The long form has 10,000; sending them takes 20 s. */
const HEADS = Number(process.env.ARTEL_HEADS ?? 1_500)
/** The long form has 100,000; signing it takes two minutes. */
const CHAIN = Number(process.env.ARTEL_CHAIN ?? 300)
const BAD = 3
const payload = encodeItems([])
const cid = 'zdpuAuK3BHpS7NvMBivynypqciYCuy2UW77XYBPUYRnLjnw13'

for (const strict of [false, true]) {
  describe(`ledger: attacks on the log over the wire${strict ? ', where malformed gossip costs its sender' : ''}`, () => {
    let net: TestNetwork
    let client: TestNode
    let observer: TestNode
    let ipfs: any
    let libp2p: Libp2p<any>
    let key: PrivateKey
    let orbitdb: any
    let folder: string
    let address: string
    let sent = 0n

    before(async () => {
      net = await startNetwork(1, { strict })
      client = await net.join()
      observer = await net.join()
      await client.ledger.claimGrant()
      folder = await mkdtemp(join(tmpdir(), 'artel-attacker-'))
      key = await newKey()
      ;({ ipfs, libp2p } = await startPeer(key))
      orbitdb = await createOrbitDB({ ipfs, directory: folder })
      const db = await openLog(orbitdb, net, 0, async () => true)
      address = db.address
      for (const node of [...net.witnesses, client, observer]) await libp2p.dial(node.libp2p.getMultiaddrs())
      libp2p.services.pubsub.subscribe(topic())
      await until(
        'gossip knows the attacker',
        () => libp2p.services.pubsub.getSubscribers(topic()).length === 3
      )
      // OrbitDB's own way: append to the log of the witness, and push the heads to everybody
      await db.add('mine')
    })
    after(async () => {
      await orbitdb.stop()
      await libp2p.stop()
      await net.stop()
      await rm(folder, { recursive: true, force: true })
    })

    const topic = (): string => `artel/${net.network.id}/ledger/1`
    const publish = (witness: number, bytes: Uint8Array): Promise<unknown> =>
      libp2p.services.pubsub.publish(topic(), encode([0, witness, bytes]))
    const forge = async (
      identity: OrbitIdentity,
      change: Partial<{ time: number; next: string[]; refs: string[]; id: string }> = {}
    ): Promise<EntryValue> =>
      Entry.create(
        identity,
        change.id ?? address,
        payload,
        undefined,
        { id: identity.publicKey, time: change.time ?? 1 },
        change.next ?? [],
        change.refs ?? []
      )
    const send = async (entry: EntryValue): Promise<void> => {
      await publish(0, (await Entry.encode(entry)).bytes)
    }

    /** The next honest entry is seen, and the books are equal. */
    const honestGoesOn = async (): Promise<void> => {
      await client.ledger.transfer(observer.account, 1n)
      sent += 1n
      await until('the honest entry', () => observer.ledger.balance().available === sent)
      await until('equal books', () => new Set([client, observer, net.witnesses[0]!].map(bookOf)).size === 1)
      assert.equal(observer.ledger.supply().total, net.network.grantMicro)
    }

    it('an OrbitDB that lets everybody write does not reach us', async () => {
      await honestGoesOn()
    })

    if (strict) {
      it(`${HEADS} heads, while honest entries go on`, async function () {
        this.timeout(600_000 + HEADS * 20)
        const identity = identityOf(createSigner(key), net.network.witnesses[0]!)
        const { bytes } = await Entry.encode(await forge(identity, { time: 2, next: [cid] }))
        for (let i = 0; i < HEADS; i++) {
          const head = Uint8Array.from(bytes)
          head[(i * 7919) % head.length]! ^= 1 + (i % 255)
          await publish(0, head)
          if (i % Math.ceil(HEADS / 4) === 0) await honestGoesOn()
        }
        await honestGoesOn()
      })
      return
    }

    it('a foreign identity, key or signature', async () => {
      const attacker = createSigner(key)
      const witness = net.network.witnesses[0]!
      await send(await forge(identityOf(attacker)))
      await send(await forge(identityOf(attacker, witness)))
      const own = await forge(identityOf(attacker))
      // stock OrbitDB: names the identity of the allowed writer, is checked against the attacker's key
      await send({ ...own, identity: witness })
      await send({ ...own, key: identityOf(attacker, witness).publicKey, identity: witness })
      await send({ ...own, sig: '00'.repeat(64) })
      await honestGoesOn()
    })

    it('a clock at the end of time, missing parents and a chain of 100,000', async () => {
      const identity = identityOf(createSigner(key), net.network.witnesses[0]!)
      await send(await forge(identity, { time: Number.MAX_SAFE_INTEGER }))
      await send(await forge(identity, { time: 100_000, next: [cid] }))
      await send(await forge(identity, { time: 2, next: [cid], refs: Array(1000).fill(cid) }))
      await send(await forge(identity, { id: '/orbitdb/another' }))
      await honestGoesOn()
    })

    it('rubbish on the topic and on the stream', async () => {
      const { pubsub } = libp2p.services
      await pubsub.publish(topic(), new Uint8Array(1000).fill(0x9f))
      await pubsub.publish(topic(), encode([0, 0, 2 ** 40]))
      await pubsub.publish(topic(), encode([2 ** 39, 0, 0]))
      await pubsub.publish(topic(), encode({ a: 1 }))
      const peer = peerIdFromString(observer.account)
      const prefixed = (value: unknown): Uint8Array => {
        const bytes = encode(value)
        return Buffer.concat([Uint8Array.of(bytes.length), bytes])
      }
      const rubbish = [
        new Uint8Array(100).fill(0xff),
        new Uint8Array(5_000).fill(1),
        prefixed([1, 'sync', 7]),
        prefixed([1, 'vote', [[], new Uint8Array(9)]]),
        prefixed([1, 'propose', [0, 1, [1], new Uint8Array(32)], 3])
      ]
      for (const [i, bytes] of rubbish.entries()) {
        const stream = await libp2p.dialProtocol(peer, `/artel/${net.network.id}/ledger/1`)
        stream.send(bytes)
        await until(`stream ${i} is ended`, () => stream.status !== 'open')
      }
      await honestGoesOn()
    })
  })
}

describe('ledger: attacks of a witness on its own log', function () {
  this.timeout(600_000 + CHAIN * 20)
  let net: TestNetwork
  let client: TestNode
  let observer: TestNode
  let ipfs: any
  let libp2p: Libp2p<any>
  let orbitdb: any
  let folder: string
  let address: string
  let identity: OrbitIdentity
  let topic: string
  let sent = 0n
  before(async () => {
    net = await startNetwork(4)
    client = await net.join()
    observer = await net.join()
    await client.ledger.claimGrant()
    // the last witness leaves, and its key comes back without our program
    const bad = net.witnesses[BAD]!
    await bad.stop()
    folder = await mkdtemp(join(tmpdir(), 'artel-bad-witness-'))
    ;({ ipfs, libp2p } = await startPeer(bad.privateKey))
    orbitdb = await createOrbitDB({ ipfs, directory: folder })
    ;({ address } = await openLog(orbitdb, net, BAD, async () => true))
    identity = identityOf(createSigner(bad.privateKey))
    for (const node of [client, observer, ...net.witnesses.slice(0, BAD)])
      await libp2p.dial(node.libp2p.getMultiaddrs())
    topic = `artel/${net.network.id}/ledger/1`
    libp2p.services.pubsub.subscribe(topic)
    await until('gossip knows it', () => libp2p.services.pubsub.getSubscribers(topic).length > 0)
  })
  after(async () => {
    await orbitdb.stop()
    await libp2p.stop()
    await net.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const publish = (what: Uint8Array | number): Promise<unknown> =>
    libp2p.services.pubsub.publish(topic, encode([0, BAD, what]))
  const write = async (time: number, next: string[], payload: Uint8Array): Promise<EntryValue> =>
    Entry.create(identity, address, payload, undefined, { id: identity.publicKey, time }, next, [])
  const honestGoesOn = async (): Promise<void> => {
    await client.ledger.transfer(observer.account, 1n)
    sent += 1n
    await until('the honest entry', () => observer.ledger.balance().available === sent)
  }

  it(`a chain of ${CHAIN} that it signed itself is taken beside the others' entries`, async () => {
    const chain: Uint8Array[] = []
    for (let next: string[] = []; chain.length < CHAIN; ) {
      const { hash, bytes } = await Entry.encode(await write(chain.length + 1, next, payload))
      chain.push(bytes)
      next = [hash]
    }
    /** who has taken the first part of it */
    const taking = new Set<string>()
    await libp2p.handle(`/artel/${net.network.id}/ledger/1`, async (stream, { remotePeer }) => {
      const lp = lpStream(stream)
      for (;;) {
        const [id, method, body] = decode((await lp.read()).subarray()) as [number, string, any]
        if (method !== 'sync') continue
        if (body[1][BAD] > 0) taking.add(remotePeer.toString())
        const entries = chain.slice(body[1][BAD], body[1][BAD] + 16)
        await lp.write(encode([id, [0, entries.map(bytes => [BAD, bytes])]]))
      }
    })
    await publish(CHAIN)
    await until('all take it', () => [client, observer].every(({ account }) => taking.has(account)))
    for (let i = 0; i < 3; i++) await honestGoesOn()
    assert.equal(bookOf(observer), bookOf(client))
  })

  it('clocks, missing parents and items that are none do not stop the others', async () => {
    for (const [i, time] of [Number.MAX_SAFE_INTEGER, 100_000, 1, 1, 2, 2].entries()) {
      const items = encodeItems([
        [0, Uint8Array.of(i)],
        [1, Uint8Array.of(i)],
        [9, Uint8Array.of(i)]
      ])
      await publish((await Entry.encode(await write(time, time > 1 ? [cid] : [], items))).bytes)
    }
    for (let i = 0; i < 3; i++) await honestGoesOn()
    assert.equal(bookOf(observer), bookOf(client))
  })
})
