import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { encode } from '@ipld/dag-cbor'
import fc from 'fast-check'
import { MalformedError } from '../../ledger/errors.ts'
import { encodeForkProof } from '../../ledger/records/fork.ts'
import { encodeSegment } from '../../ledger/records/segment.ts'
import { decoders, other, run } from './decoders.ts'
import { ask, newKey, startNetwork, startPeer, type TestNetwork } from './nodes.ts'

describe('ledger: hostile bytes', () => {
  for (const [name, { real, decode }] of Object.entries(decoders)) {
    const isHarmless = (bytes: Uint8Array): void => {
      try {
        decode(bytes)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        assert.ok(error.message.length < 500, 'the message grows with the input')
      }
    }

    it(`a real ${name} is accepted`, () => {
      decode(real)
    })

    it(`random bytes as a ${name} are refused`, () => {
      fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), isHarmless), { numRuns: 300 })
      isHarmless(new Uint8Array(100_000).fill(0x81))
      isHarmless(new Uint8Array(100_000).fill(0x9f))
      isHarmless(Uint8Array.of(0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
    })

    it(`any dag-cbor as a ${name} is refused`, () => {
      const value = fc.letrec(tie => ({
        any: fc.oneof(
          { maxDepth: 4 },
          fc.maxSafeInteger(),
          fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
          fc.uint8Array({ maxLength: 70 }),
          fc.string(),
          fc.constantFrom(null, true, 1.5),
          fc.array(tie('any'), { maxLength: 9 })
        )
      })).any
      fc.assert(
        fc.property(value, any => isHarmless(encode(any))),
        { numRuns: 300 }
      )
    })

    it(`a mutated ${name} is refused or means the same`, () => {
      const mutation = fc.record({
        at: fc.nat(real.length - 1),
        cut: fc.nat(40),
        insert: fc.uint8Array({ maxLength: 40 })
      })
      fc.assert(
        fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), mutations => {
          let bytes: Uint8Array = real
          for (const { at, cut, insert } of mutations)
            bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + cut)])
          isHarmless(bytes)
        }),
        { numRuns: 500 }
      )
    })
  }
})

describe('ledger: hostile requests over the wire', () => {
  let net: TestNetwork
  let peer: Awaited<ReturnType<typeof startPeer>>
  before(async () => {
    net = await startNetwork(1)
    peer = await startPeer(await newKey())
    await peer.libp2p.dial(net.witnesses[0]!.libp2p.getMultiaddrs())
  })
  after(async () => {
    await peer.libp2p.stop()
    await net.stop()
  })

  it('get an answer or the end of their stream, leave nothing behind, and honest accounts go on', async () => {
    const witness = net.witnesses[0]!
    const rows = (): unknown => {
      const db = new DatabaseSync(join(witness.directory, 'ledger.sqlite'), { readOnly: true })
      const tables = ['segments', 'statements', 'votes', 'voted', 'entries', 'checkpoints', 'proposals']
      const counts = tables.map(table => db.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n)
      db.close()
      return counts
    }
    const before = rows()
    const anything = fc.letrec(tie => ({
      any: fc.oneof(
        { maxDepth: 3 },
        fc.maxSafeInteger(),
        fc.uint8Array({ maxLength: 70 }),
        fc.constantFrom(null, true, 1.5, witness.account, encodeSegment(run), encodeForkProof(run, other)),
        fc.string({ maxLength: 70 }),
        fc.array(tie('any'), { maxLength: 5 })
      )
    })).any
    const method = fc.constantFrom('vote', 'items', 'chain', 'sync', 'propose', 'checkpoint', 'constructor')
    await fc.assert(
      fc.asyncProperty(method, anything, async (name, body) => {
        try {
          await ask(peer.libp2p, net.network.id, witness.account, name, body)
        } catch (error) {
          assert.notEqual((error as Error).name, 'TimeoutError', `${name} hangs`)
        }
      }),
      { numRuns: 300 }
    )
    assert.deepEqual(rows(), before)
    const client = await net.join()
    await client.ledger.claimGrant()
    await client.ledger.transfer(witness.account, 1n)
  })
})
