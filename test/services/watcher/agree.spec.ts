import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createIdentity } from '../../../bootstrap/index.ts'
import { createSigner, isSignedBy } from '../../../ledger/index.ts'
import { caseOf, courtRule, openCourt } from '../../../node/demo/court.ts'
import { INVENTED, lyingSandbox, MOVED, WITHHELD } from '../../../node/demo/liar.ts'
import { createSandbox, type Sandbox } from '../../../sandbox/index.ts'
import { OWNER, watch } from '../../../services/index.ts'
import type { Outcome } from '../../../services/watcher/contract.ts'
import { agree } from '../../../services/watcher/core/agree.ts'
import type { Fields } from '../../../services/watcher/extract/contract.ts'
import { MAX_SHARED_ITEMS, type SharedRule } from '../../../services/watcher/messages.ts'
import { ruleSchema } from '../../../services/watcher/rule.ts'
import { askOthers, readAnswer } from '../../../services/watcher/share/ask-others.ts'
import { createLooks } from '../../../services/watcher/share/looks.ts'
import { sharedOf } from '../../../services/watcher/share/shared-rule.ts'
import { bytesOf, hashOf, LOOK, rootOf } from '../../../services/watcher/share/statement.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'

const items = (states: Record<string, string>): Map<string, Fields> =>
  new Map(Object.entries(states).map(([id, state]) => [id, { id, state }]))

const shared = (url: string): SharedRule => sharedOf(ruleSchema.parse(courtRule(url, 1)))

describe('watcher: what counts among several answers', () => {
  it('an item that most of those who were asked see in the same way, or do not see', () => {
    const { found, unconfirmed, differing } = agree(
      [
        items({ a: '1', b: '1', c: '1' }),
        items({ a: '1', b: '2', d: '1' }),
        items({ a: '1', b: '1', e: '1' })
      ],
      3
    )
    deepEqual(found, items({ a: '1', b: '1' }))
    // that there is no c, d, e is what two of three say
    deepEqual([...unconfirmed], [])
    deepEqual(differing, [['c'], ['b', 'd'], ['e']])
  })

  it('silence confirms nothing', () => {
    const { found, unconfirmed, differing } = agree([items({ a: '1', b: '1' }), items({ a: '1', c: '1' })], 3)
    deepEqual(found, items({ a: '1' }))
    deepEqual([...unconfirmed].sort(), ['b', 'c'])
    deepEqual(differing, [[], []])
    // half is no majority
    deepEqual([...agree([items({ a: '1' }), items({ a: '2' })], 2).unconfirmed], ['a'])
    deepEqual([...agree([items({ a: '1' }), items({ a: '1' })], 4).unconfirmed], ['a'])
  })

  it('the order of fields is no difference', () => {
    const other = new Map([['a', { state: '1', id: 'a' }]])
    deepEqual(agree([items({ a: '1' }), other], 2).differing, [[], []])
  })

  it('one liar of three changes nothing, whatever he says, and is named for all of it', () => {
    let random = 7
    const dice = (sides: number): number => {
      random = (random * 48271) % 2147483647
      return random % sides
    }
    for (let round = 0; round < 300; round++) {
      const truth = items(Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`k${i}`, `${dice(3)}`])))
      const said = new Map(truth)
      for (let i = 0; i < 4; i++) {
        const key = `k${dice(12)}`
        if (dice(2) === 0) said.delete(key)
        else said.set(key, { id: key, state: 'lie' })
      }
      const liar = dice(3)
      const answers = [truth, truth, truth].map((each, i) => (i === liar ? said : each))
      const { found, unconfirmed, differing } = agree(answers, 3)
      deepEqual(found, truth)
      equal(unconfirmed.size, 0)
      const lies = [...new Set([...truth.keys(), ...said.keys()])].filter(
        key => truth.get(key)?.state !== said.get(key)?.state
      )
      deepEqual(
        differing.map(keys => keys.toSorted()),
        answers.map((_, i) => (i === liar ? lies.sort() : []))
      )
    }
  })
})

describe('watcher: looks that are shared', () => {
  it('are done once for all who ask meanwhile or soon after, and anew for who had that one', async () => {
    let clock = 1000
    let looks = 0
    let fails = false
    const take = createLooks({
      async look() {
        looks++
        if (fails) throw new Error('no answer')
        return { pages: [], items: new Map() }
      },
      keptMs: () => 60_000,
      now: () => clock
    })
    const rule = shared('https://court.example')
    const [first, second] = await Promise.all([take(rule, 0), take(rule, 0)])
    ok(first === second)
    clock += 60_000
    ok((await take(rule, 0)) === first)
    equal(looks, 1)
    // who had it wants another
    const next = await take(rule, first!.at)
    equal(looks, 2)
    // and who had none gets this one
    ok((await take(rule, 0)) === next)
    clock += 60_001
    await take(rule, 0)
    equal(looks, 3)
    await take({ ...rule, pages: 2 }, 0)
    equal(looks, 4)
    clock += 60_001
    fails = true
    await rejects(take(rule, 0), /no answer/)
    fails = false
    await take(rule, 0)
    equal(looks, 6)
  })

  it('for a node that fails the next takes over', async () => {
    const asked: string[] = []
    const networkOf = () => undefined
    const said = await askOthers(['a', 'b', 'c', 'd'], 2, {
      networkOf,
      async ask(peer) {
        asked.push(peer)
        if (peer === 'a') throw new Error('gone')
        return { statement: {} as never, items: new Map() }
      }
    })
    deepEqual(asked, ['a', 'b', 'c'])
    deepEqual(said.map(each => [each.peer, 'reason' in each ? each.reason : '']).sort(), [
      ['a', 'Error: gone'],
      ['b', ''],
      ['c', '']
    ])
    const ask = () => Promise.reject(new Error('gone'))
    equal((await askOthers(['a'], 2, { ask, networkOf })).length, 1)
  })

  it('of one network one answer counts, and the next is asked instead', async () => {
    const said = await askOthers(['a', 'b', 'c', 'd'], 3, {
      ask: async () => ({ statement: {} as never, items: new Map() }),
      networkOf: peer => ({ a: '198.51.100', b: '198.51.100' })[peer]
    })
    deepEqual(
      said.map(each => [each.peer, 'reason' in each]),
      [
        ['a', false],
        ['b', true],
        ['c', false],
        ['d', false]
      ]
    )
    match((said[1] as { reason: string }).reason, /198\.51\.100/)
  })

  it('an answer counts only where its sender signed these items of this rule, and not without end', async () => {
    const { privateKey, peerId } = await createIdentity()
    const { sign } = createSigner(privateKey)
    const rule = shared('https://court.example')
    const rows = [{ number: '1' }, { number: '2' }]
    const statement = (of: SharedRule) => {
      const hash = hashOf(of)
      const root = rootOf(hash, new Map(rows.map(row => [row.number, row])))
      const body = { at: 1, snapshot: '0'.repeat(64), root, region: 'by' }
      return { ...body, signature: sign(LOOK, bytesOf(hash, body)) }
    }
    let regions: string[] | undefined
    const read = (parts: Fields[][], said: ReturnType<typeof statement>, peer = peerId.toString()) =>
      readAnswer(
        {
          items: (async function* () {
            yield* parts
          })(),
          answer: Promise.resolve(said)
        },
        { peer, rule, regions, isSigned: isSignedBy }
      )
    const right = statement(rule)
    equal((await read([[rows[1]!], [rows[0]!]], right)).items.size, 2)
    await rejects(read([[rows[0]!]], right), /other items than those that it signs/)
    await rejects(read([rows], statement({ ...rule, pages: 2 })), /other items/)
    await rejects(read([rows], { ...right, at: 2 }), /did not sign/)
    await rejects(read([rows], { ...right, region: 'pl' }), /did not sign/)
    regions = ['pl', 'by']
    equal((await read([rows], right)).statement.region, 'by')
    regions = ['pl', 'de']
    await rejects(read([rows], right), /is in by, not in pl, de/)
    regions = undefined
    const stranger = (await createIdentity()).peerId.toString()
    await rejects(read([rows], right, stranger), /did not sign/)
    const many = Array.from({ length: 5 }, () => Array.from({ length: 5000 }, () => ({ number: '1' })))
    await rejects(read(many, right), new RegExp(`more than ${MAX_SHARED_ITEMS} items`))
  })
})

describe('watcher: three nodes, of which one lies', function () {
  this.timeout(600_000)
  let sandbox: Sandbox
  before(async () => {
    sandbox = createSandbox({ warm: 1, lazy: true })
    await sandbox.start()
  })
  after(() => sandbox?.stop())

  it('agree on what has changed; the lie is not believed, and who says it is named', async () => {
    await using court = await openCourt(60, true)
    const elsewhere = createServer((_, response) => response.writeHead(302, { location: court.url }).end())
    await new Promise<void>(resolve => elsewhere.listen(0, '127.0.0.1', resolve))
    const elsewhereHost = `127.0.0.1:${(elsewhere.address() as AddressInfo).port}`
    const directory = createTestDirectory()
    const identities = [await createIdentity(), await createIdentity(), await createIdentity()]
    const ids = identities.map(({ peerId }) => peerId.toString())
    const usual = {
      openHosts: [court.host, elsewhereHost],
      pauseSeconds: 0,
      lookPeers: ids,
      lookHosts: [court.host, elsewhereHost],
      shareSeconds: 600
    }
    await using hosts = new AsyncDisposableStack()
    const start = async (i: number, more: object = {}) =>
      hosts.use(
        await startHost({
          modules: [watch],
          identity: identities[i],
          capabilities: { sandbox: i === 2 ? lyingSandbox(sandbox) : sandbox },
          directory,
          settings: { watch: { ...usual, allowedPeers: ids, ...more } }
        })
      )
    const nodes = [await start(0), await start(1), await start(2)]
    const isRunning = (state: string | undefined): boolean => state === 'running'
    for (const node of nodes) await until(() => isRunning(node.services.health()[0]?.state), 'all run')
    await nodes[0]!.connect(nodes[1]!)
    await nodes[0]!.connect(nodes[2]!)
    await nodes[1]!.connect(nodes[2]!)
    const call = <T = unknown>(i: number, operation: string, input: object = {}): Promise<T> =>
      nodes[i]!.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const run = (i: number, id = 'court') => call<Outcome>(i, 'run', { id })
    const rule = { ...courtRule(court.url, 1), login: undefined, agree: 3 }
    for (const i of [0, 1, 2]) await call(i, 'put', { id: 'court', rule, isPaused: true })
    const said = ({ agreement }: Outcome) =>
      Object.fromEntries(agreement!.answers.map(({ peer, is, keys }) => [peer, [is, ...keys.toSorted()]]))
    const named = {
      [ids[0]!]: ['agrees'],
      [ids[1]!]: ['agrees'],
      [ids[2]!]: ['differs', WITHHELD, MOVED, INVENTED]
    }

    for (const i of [0, 1, 2]) {
      const outcome = await run(i)
      deepEqual([outcome.state, outcome.items, outcome.isFirst], ['ok', 60, true], outcome.reason)
      deepEqual(said(outcome), named)
      deepEqual(outcome.agreement!.unconfirmed, [])
    }
    // each node read the page once, for all three
    equal(court.reads, 3)

    court.cases.set('2-7/2026', { ...court.cases.get('2-7/2026')!, room: '9' })
    court.cases.set('2-9999/2026', caseOf(9999))
    court.cases.delete('2-8/2026')
    for (const _ of ['changed', 'gone']) for (const i of [0, 1, 2]) deepEqual(said(await run(i)), named)
    equal(court.reads, 9)
    // he who lies is told the truth by the others
    for (const i of [0, 1, 2]) {
      const { items } = await call<{ items: { kind: string; key: string }[] }>(i, 'events')
      deepEqual(items.map(({ kind, key }) => `${kind} ${key}`).sort(), [
        'changed 2-7/2026',
        'gone 2-8/2026',
        'new 2-9999/2026'
      ])
    }
    const { state, reason } = nodes[0]!.services.health()[0]!
    equal(state, 'degraded')
    match(reason!, new RegExp(`agreement on court: ${ids[2]} says something else than most of `))

    // the hosts of a rule are all that is looked at, also where one leads to another
    await call(0, 'put', {
      id: 'led',
      rule: { ...rule, urls: [`http://${elsewhereHost}/`], agree: 2 },
      isPaused: true
    })
    match((await run(0, 'led')).reason!, /ForbiddenAddressError: .* leads to /)

    // of the two who are left none has a majority: what they see differently is unconfirmed, and nobody is told
    await nodes[1]![Symbol.asyncDispose]()
    for (const _ of ['once', 'twice']) {
      const { state, reason, changes, items, agreement } = await run(0)
      deepEqual([state, changes, items], ['ok', 0, 58], reason)
      deepEqual(agreement!.unconfirmed.toSorted(), [WITHHELD, MOVED, INVENTED])
      deepEqual(agreement!.answers.map(({ peer, is }) => [ids.indexOf(peer), is]).sort(), [
        [0, 'agrees'],
        [1, 'silent'],
        [2, 'agrees']
      ])
    }
    const { items: kept } = await call<{ items: { key: string; isGone: boolean; fields: Fields }[] }>(
      0,
      'items',
      {
        limit: 100
      }
    )
    equal(kept.filter(({ isGone }) => !isGone).length, 60)
    equal(kept.find(({ key }) => key === MOVED)!.fields.room, caseOf(5).room)
    elsewhere.closeAllConnections()
    await new Promise(resolve => elsewhere.close(resolve))
  })

  it('look for nobody and at nothing that their owner did not name; without a majority nothing counts', async () => {
    await using court = await openCourt(5, true)
    const directory = createTestDirectory()
    const asker = await createIdentity()
    const start = (watchSettings: object, identity?: typeof asker) =>
      startHost({
        modules: [watch],
        identity,
        capabilities: { sandbox },
        directory,
        settings: { watch: { openHosts: [court.host], pauseSeconds: 0, ...watchSettings } }
      })
    await using closed = await start({ lookHosts: [court.host] })
    await using elsewhere = await start({ allowedPeers: ['*'], lookHosts: ['court.example:443'] })
    const willing = { allowedPeers: ['*'], lookHosts: [court.host] }
    await using abroad = await start({ ...willing, region: 'pl' })
    await using host = await start({ lookPeers: [closed.id, elsewhere.id, abroad.id] }, asker)
    for (const each of [closed, elsewhere, abroad, host])
      await until(() => each.services.health()[0]!.state === 'running', 'all run')
    await host.connect(closed)
    await host.connect(elsewhere)
    await host.connect(abroad)
    const call = <T = unknown>(operation: string, input: object = {}): Promise<T> =>
      host.services.call('watch', operation, input, { caller: OWNER }) as Promise<T>
    const rule = { ...courtRule(court.url, 1), login: undefined, agree: 3, regions: ['by'] }
    await call('put', { id: 'court', rule, isPaused: true })
    const { state, reason } = await call<Outcome>('run', { id: 'court' })
    equal(state, 'failed')
    match(reason!, /AgreementError: 1 of 3 nodes looked/)
    match(reason!, /look is not for your node/)
    match(reason!, /does not look at 127\.0\.0\.1:\d+ for others/)
    match(reason!, /is in pl, not in by/)
    deepEqual(await call('items'), { items: [] })
    await call('put', { id: 'court', rule: { ...rule, agree: 2, regions: ['by', 'pl'] }, isPaused: true })
    const { agreement } = await call<Outcome>('run', { id: 'court' })
    deepEqual(
      agreement!.answers.filter(({ is }) => is === 'agrees').map(({ peer }) => peer),
      [host.id, abroad.id]
    )

    const wrong: [object, RegExp][] = [
      [courtRule(court.url, 1), /passwords do not leave this node/],
      [{ ...rule, pages: 11 }, /at most 10 pages/]
    ]
    for (const [other, message] of wrong)
      await rejects(call('put', { id: 'b', rule: { ...other, agree: 3 } }), { name: 'RuleError', message })
    await rejects(call('put', { id: 'b', rule: { ...rule, agree: undefined } }), { message: /regions: / })
  })
})
