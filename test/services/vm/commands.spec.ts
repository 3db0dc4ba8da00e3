import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { createIdentity } from '../../../bootstrap/index.ts'
import { createSigner, isSignedBy } from '../../../ledger/index.ts'
import { askPeer } from '../../../services/host/peer-streams.ts'
import { vm } from '../../../services/index.ts'
import {
  COMMAND_DOMAIN,
  COMMAND_MS,
  type Command,
  encodeCommand,
  openCommand,
  type Signed
} from '../../../services/vm/core/command.ts'
import { createAnswered } from '../../../services/vm/peers/answered.ts'
import { messages } from '../../../services/vm/peers/messages.ts'
import { MIGRATIONS } from '../../../services/vm/store/schema.ts'
import { overSqlite } from '../../../services/vm/store/sqlite.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'

const NOW = 1_800_000_000_000
const ROUNDS = 10_000
/** The same bytes at every run. */
const random = (seed: string, length: number) =>
  createHash('shake256', { outputLength: length }).update(seed).digest()
const nonceOf = (round: number) => Uint8Array.from(random(`nonce ${round}`, 16))

describe('signed commands', () => {
  let sign: (domain: string, bytes: Uint8Array) => Uint8Array
  let caller: string
  const isSigned = (peer: string, bytes: Uint8Array, signature: Uint8Array) =>
    isSignedBy(peer, `artel/vm/${COMMAND_DOMAIN}`, bytes, signature)
  const commandOf = (round: number, change: Partial<Command> = {}): Command => ({
    ...{ host: 'host', caller, nonce: nonceOf(round), expires: NOW + COMMAND_MS },
    ...{ name: 'power', args: { vm: 'vm1', action: 'stop' } },
    ...change
  })
  const seal = (command: Command, domain = COMMAND_DOMAIN): Signed => {
    const envelope = encodeCommand(command)
    return { envelope, signature: sign(`artel/vm/${domain}`, envelope) }
  }

  before(async () => {
    const signer = createSigner((await createIdentity()).privateKey)
    sign = signer.sign
    caller = signer.account
  })

  it('none of 10,000 that are forged, altered, expired, for another host or for another purpose is taken', async () => {
    const stranger = createSigner((await createIdentity()).privateKey)
    const forgeries: ((round: number) => Signed)[] = [
      round => ({ ...seal(commandOf(round)), signature: random(`signature ${round}`, 64) }),
      round => {
        // one bit of what was signed, or of its signature
        const { envelope, signature } = seal(commandOf(round % 50))
        const both = Buffer.concat([envelope, signature])
        const bit = random(`bit ${round}`, 4).readUInt32LE() % (8 * both.length)
        both[bit >> 3]! ^= 1 << (bit & 7)
        return { envelope: both.subarray(0, envelope.length), signature: both.subarray(envelope.length) }
      },
      round => seal(commandOf(round % 50, { expires: NOW - (round % 1_000) })),
      round => seal(commandOf(round % 50, { expires: NOW + COMMAND_MS + 1 + round })),
      round => seal(commandOf(round % 50, { host: `host${round % 50}` })),
      round => seal(commandOf(round % 50), 'release/1'),
      round => {
        const envelope = encodeCommand(commandOf(round % 50))
        return { envelope, signature: stranger.sign(`artel/vm/${COMMAND_DOMAIN}`, envelope) }
      },
      round => ({ envelope: random(`bytes ${round}`, 1 + (round % 300)), signature: random('s', 64) })
    ]
    let taken = 0
    for (let round = 0; round < ROUNDS; round++) {
      try {
        openCommand(forgeries[round % forgeries.length]!(round), 'host', NOW, isSigned)
        taken++
      } catch (error) {
        assert.equal((error as Error).name, 'AuthError')
      }
    }
    assert.equal(taken, 0)
    assert.deepEqual(openCommand(seal(commandOf(1)), 'host', NOW, isSigned), commandOf(1))
  })

  it('a command that comes again is answered as before and not done again, also after a restart', async () => {
    const sqlite = new DatabaseSync(':memory:')
    for (const migration of MIGRATIONS) sqlite.exec(migration)
    const database = overSqlite(sqlite)
    let answered = createAnswered(database)
    let done = 0
    const once = (command: Command) =>
      answered.once(command, seal(command), async () => {
        done++
        if (command.name === 'refused') throw Object.assign(new Error('no'), { name: 'StateError' })
        if (command.name === 'fault') throw new Error('a mistake of ours')
        return { number: done }
      })
    const command = commandOf(1)
    const at = await Promise.all([once(command), once(command)])
    assert.deepEqual(at, [{ number: 1 }, { number: 1 }])
    answered = createAnswered(database)
    assert.deepEqual(await once(command), { number: 1 })
    for (let time = 0; time < 2; time++)
      await assert.rejects(once(commandOf(2, { name: 'refused' })), { name: 'StateError', message: 'no' })
    assert.equal(done, 2)
    await assert.rejects(once(commandOf(1, { name: 'remove' })), { name: 'AuthError' })
    await assert.rejects(once(commandOf(3, { name: 'fault' })), /mistake/)
    await assert.rejects(once(commandOf(3, { name: 'fault' })), { name: 'BusyError' })
    assert.equal(done, 3)
    await answered.forget(NOW + COMMAND_MS)
    assert.deepEqual(sqlite.prepare('SELECT count(*) AS n FROM nonces').get()!.n, 0)
  })

  it('a host takes a command from who signed it and from nobody else', async () => {
    const directory = createTestDirectory()
    const settings = { vm: { allowedPeers: ['*'] } }
    await using host = await startHost({ modules: [vm], settings, directory })
    await using client = await startHost({ modules: [vm], settings, directory })
    await using other = await startHost({ modules: [vm], settings, directory })
    await client.connect(host)
    await other.connect(host)
    const ask = (node: typeof host, request: Signed) =>
      askPeer(
        {
          network: node.libp2p,
          protocol: '/artel/test/vm/1',
          messages,
          signal: AbortSignal.timeout(120_000)
        },
        host.id,
        'command',
        request
      ).answer as Promise<{ text: string }>
    const expires = Date.now() + 30_000
    const say = (change: Partial<Command>) => {
      const args = { line: 'AUTH vm1 64 1' }
      const envelope = encodeCommand(
        commandOf(9, { host: host.id, caller: client.id, expires, name: 'exec', args, ...change })
      )
      return { envelope, signature: client.sign(`artel/vm/${COMMAND_DOMAIN}`, envelope) }
    }
    const refused = (request: Signed, name: string, node = client) =>
      assert.rejects(ask(node, request), { name })
    await refused(say({}), 'ForbiddenError', other)
    await refused(say({ host: client.id }), 'AuthError')
    await refused(say({ name: 'exportDisk', args: { disk: 'd', file: '/tmp/x' } }), 'UsageError')
    await refused(say({ name: '__proto__' }), 'UsageError')
    await refused(say({ args: { line: 7 } as never }), 'RequestError')
    assert.equal((await ask(client, say({}))).text, 'OK vm1 registered')
    // else it would be there already, and authenticated
    assert.equal((await ask(client, say({}))).text, 'OK vm1 registered')
  })
})
