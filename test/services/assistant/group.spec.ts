import { deepEqual, equal, throws } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { createIdentity } from '../../../bootstrap/index.ts'
import { createSigner, isSignedBy } from '../../../ledger/index.ts'
import { openProvider, type Provider } from '../../../node/demo/provider.ts'
import { ANSWER, checkEntry, holdersOf, signedBytes } from '../../../services/assistant/group/entry.ts'
import { createGroupCache, GROUP } from '../../../services/assistant/group/group-cache.ts'
import { MIGRATIONS } from '../../../services/assistant/schema.ts'
import { createCache } from '../../../services/assistant/store/cache.ts'
import { assistant, type Bytes, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'

const KEY = 'sk-group'
const DAY_MS = 86_400_000

describe('assistant: answers that nodes share', function () {
  this.timeout(600_000)
  const key = Buffer.alloc(32, 7)

  it('are kept by three of the group, the same for all who reckon it', () => {
    const members = Array.from({ length: 10 }, (_, i) => `peer${i}`)
    const holders = holdersOf(key, members)
    equal(new Set(holders).size, 3)
    deepEqual(holdersOf(key, members.toReversed()), holders)
    // one who goes moves nothing but what he kept
    const [gone, ...others] = holders
    deepEqual(
      holdersOf(
        key,
        members.filter(member => member !== gone)
      ).slice(0, 2),
      others
    )
  })

  it('count where one of the group has signed them, for as long as any answer is kept', async () => {
    const [own, strange] = [await createIdentity(), await createIdentity()]
    const now = Date.now()
    const sealed = Buffer.from('sealed')
    const made = (by: typeof own, more: object = {}) => {
      const signer = own.peerId.toString()
      const said = { signer, provider: 'p', model: 'm', created: now, expires: now + DAY_MS, ...more }
      return { ...said, signature: createSigner(by.privateKey).sign(ANSWER, signedBytes(key, sealed, said)) }
    }
    const check = (statement: ReturnType<typeof made>, of: Uint8Array = sealed, place = key) =>
      checkEntry(
        place,
        { sealed: of, statement },
        { signers: [own.peerId.toString()], isSigned: isSignedBy, now }
      )
    check(made(own))
    throws(() => check(made(strange)), /did not sign/)
    throws(() => check({ ...made(own), model: 'other' }), /did not sign/)
    throws(() => check(made(own), Buffer.from('other')), /did not sign/)
    throws(() => check(made(own), sealed, Buffer.alloc(32, 8)), /did not sign/)
    throws(() => check(made(strange, { signer: strange.peerId.toString() })), /not of the group/)
    throws(() => check(made(own, { expires: now })), /is kept from/)
    throws(() => check(made(own, { expires: now + 400 * DAY_MS })), /is kept from/)
    throws(() => check(made(own, { created: now + DAY_MS })), /is kept from/)
  })

  it('stay what the first has said: nobody puts his own in the place of another one’s', async () => {
    const [ann, bob] = [await createIdentity(), await createIdentity()]
    const namespaceKey = Buffer.alloc(32, 1)
    const openCache = () => {
      const db = new DatabaseSync(':memory:')
      for (const script of MIGRATIONS) db.exec(script)
      const cache = createCache(db, () => 1e9, Date.now)
      cache.useKey(GROUP, namespaceKey)
      return cache
    }
    const cache = openCache()
    const signers = [ann, bob].map(({ peerId }) => peerId.toString())
    const { handlers } = createGroupCache({
      host: {
        config: { groupPeers: signers, groupSecret: 'one' },
        peers: { self: 'me' },
        isSigned: isSignedBy,
        now: Date.now
      },
      cache
    } as never)
    const began = Date.now()
    const share = (by: typeof ann, answer: string | Buffer, created: number) => {
      const sealed = typeof answer === 'string' ? openCache().put(GROUP, key, answer, DAY_MS)!.sealed : answer
      const signer = by.peerId.toString()
      const said = { signer, provider: 'p', model: 'm', created, expires: began + DAY_MS }
      const signature = createSigner(by.privateKey).sign(ANSWER, signedBytes(key, sealed, said))
      handlers.share({ key, entry: { sealed, statement: { ...said, signature } } })
      return cache.get(GROUP, key)
    }
    equal(share(bob, Buffer.from('what nobody can read'), began), undefined)
    equal(share(ann, 'true', began + 1), 'true')
    equal(share(bob, 'false', began + 2), 'true')
    equal(share(bob, Buffer.from('what nobody can read'), began + 3), 'true')
    // its signer says it anew, and what he has said before does not come back
    equal(share(ann, 'anew', began + 4), 'anew')
    equal(share(ann, 'true', began + 1), 'anew')
  })

  it('are asked for as long as a question may wait for them', async () => {
    const asked: unknown[] = []
    for (const groupWaitMs of [50, 60_000]) {
      const peers = {
        self: 'me',
        async ask(_peer: string, _kind: string, _request: object, { deadlineMs }: { deadlineMs: number }) {
          asked.push(deadlineMs)
          return {}
        }
      }
      const group = createGroupCache({
        host: { config: { groupPeers: ['other'], groupSecret: 'one', groupWaitMs }, peers, now: Date.now },
        cache: { keepSigners: () => undefined }
      } as never)
      await group.bring(key)
    }
    deepEqual(asked, [2_000, 60_000])
  })

  it('save the other nodes the call, without the secret are nothing, and go with who signed them', async () => {
    await using provider = await openProvider(KEY)
    const directory = createTestDirectory()
    const identities = [await createIdentity(), await createIdentity(), await createIdentity()]
    const ids = identities.map(({ peerId }) => peerId.toString())
    await using hosts = new AsyncDisposableStack()
    const start = async (i: number, secret: string, more: object = {}) => {
      const settings = {
        allowedPeers: ids,
        groupPeers: ids,
        groupSecret: 'group',
        groupWaitMs: 60_000,
        quotaCredits: 10,
        ...more
      }
      const host = hosts.use(
        await startHost({
          modules: [assistant],
          identity: identities[i],
          directory,
          settings: { assistant: settings }
        })
      )
      await until(() => host.services.health()[0]!.state === 'running', 'it runs')
      return prepare(host, provider, secret)
    }
    const [ann, bob, eve] = [await start(0, 'one'), await start(1, 'one'), await start(2, 'another')]
    for (const [one, other] of [
      [ann, bob],
      [ann, eve],
      [bob, eve]
    ] as const)
      await one.host.connect(other.host)

    equal(await ann.ask('shared'), 'miss')
    // it is told after the answer
    for (const other of [bob, eve])
      await until(async () => (await other.entries()) > 0, 'the answer at the other nodes')
    equal(await bob.ask('shared'), 'hit')
    equal(provider.calls, 1)
    // who does not have the secret asks something else, and keeps what he cannot read
    equal(await eve.ask('shared'), 'miss')
    equal(provider.calls, 2)
    // nobody's own answers are shared
    equal(await ann.ask('own', 'own'), 'miss')
    equal(await bob.ask('own', 'own'), 'miss')
    equal(provider.calls, 4)

    // one with an empty disk fetches it
    await bob.stop()
    const again = await start(1, 'one')
    await again.host.connect(eve.host)
    equal(await again.ask('shared'), 'hit')
    equal(provider.calls, 4)
    await again.stop()
    // and not what somebody has signed who is not of the group any more
    const without = await start(1, 'one', { groupPeers: [ids[2]!] })
    await without.host.connect(eve.host)
    equal(await without.ask('shared'), 'miss')
    equal(provider.calls, 5)
  })
})

type Host = Awaited<ReturnType<typeof startHost>>

async function prepare(host: Host, { url }: Provider, secret: string) {
  const call = <T>(operation: string, input: object, body?: object): Promise<T> =>
    host.services.call('assistant', operation, input, {
      caller: OWNER,
      ...(body == null ? {} : { body: chunks(body) })
    }) as Promise<T>
  await call('secret', { name: 'key', value: KEY })
  await call('secret', { name: 'group', value: secret })
  const models = [{ id: 'm', inputPerMillion: '1000', outputPerMillion: '1000', maxOutputTokens: 100 }]
  await call('put', { name: 'p', provider: { kind: 'openai', url, secret: 'key', models } })
  return {
    host,
    stop: () => host[Symbol.asyncDispose](),
    /** @returns where the answer came from */
    async ask(content: string, namespace = 'group') {
      const body = { model: 'm', temperature: 0, messages: [{ role: 'user', content }] }
      const { status, headers } = await call<Bytes>('chat', { namespace }, body)
      equal(status, 200)
      return headers!['artel-cache']
    },
    entries: async () => (await call<{ cache: { entries: number } }>('status', {})).cache.entries
  }
}

async function* chunks(body: object): AsyncGenerator<Uint8Array> {
  yield Buffer.from(JSON.stringify(body))
}
