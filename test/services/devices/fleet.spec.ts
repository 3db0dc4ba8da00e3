import { deepEqual, equal, match, rejects, throws } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { isSignedBy } from '../../../ledger/index.ts'
import { createFleet } from '../../../services/devices/fleet/create-fleet.ts'
import {
  fleetDocuments,
  grantsFor,
  missingGroups,
  settingsFor,
  standing,
  wishes
} from '../../../services/devices/fleet/document.ts'
import { createSettings } from '../../../services/devices/fleet/settings.ts'
import { createFleetStore } from '../../../services/devices/fleet/store.ts'
import type { Peers } from '../../../services/devices/messages.ts'
import { MIGRATIONS } from '../../../services/devices/series/schema.ts'
import type { Known } from '../../../services/host/index.ts'
import { signerFrom } from '../../ledger/helpers.ts'

const { signal } = new AbortController()
const ann = signerFrom('ann')
const bob = signerFrom('bob')
const eve = signerFrom('eve')
const board = signerFrom('board')
const OWNERS = [ann.account, bob.account]
const content = (more: object = {}) => ({
  ...wishes.parse({ agents: [board.account] }),
  ...{ fleet: 'f', version: 1, by: 'owner', at: 5 },
  ...more
})
const signedBy = (signer: typeof ann, document: object) =>
  fleetDocuments.issue(document as never, signer.account, signer.sign)

/** Nodes that reach each other, unless they are cut off; each with a log and a database that can be lost. */
function network() {
  const nodes = new Map<string, ReturnType<typeof start>>()
  const cut = new Set<string>()
  const logs = new Map<string, Known[]>()

  function start(signer: typeof ann) {
    const db = new DatabaseSync(':memory:')
    for (const sql of MIGRATIONS) db.exec(sql)
    const log = logs.get(signer.account) ?? []
    logs.set(signer.account, log)
    const troubles = new Map<string, string>()
    const node = createFleet({
      fleet: 'f',
      self: signer.account,
      owners: () => OWNERS,
      store: createFleetStore(db, 'f'),
      remembered: () => log.at(-1),
      note: async body => void log.push(body as never),
      peers: {
        find: async function* () {},
        async ask(peer: string, kind: string, request: never) {
          const other = nodes.get(peer)
          if (kind !== 'document' || other == null || cut.has(peer) || cut.has(signer.account))
            throw new Error(`${peer.slice(-4)} cannot be reached`)
          return other.answer(request, signer.account)
        }
      } as unknown as Peers,
      others: () => [],
      state: async () => ({ settings: [], devices: [], release: { isOnTrial: false } }),
      sign: signer.sign,
      isSigned: isSignedBy,
      now: () => 1_000,
      trouble: (what, why) => void (why == null ? troubles.delete(what) : troubles.set(what, why)),
      changed: () => {},
      signal,
      log: Object.assign(() => {}, { error: () => {} })
    })
    return Object.assign(node, {
      troubles,
      version: () => node.current()?.document.version ?? 0,
      write: (after: number, more: object = {}) =>
        node.issue(wishes.parse({ agents: [board.account], ...more }), after, 'owner', signal)
    })
  }
  return {
    cut,
    logs,
    /** The same again is a node whose database is lost; its log is not. */
    start(signer: typeof ann) {
      const node = start(signer)
      nodes.set(signer.account, node)
      return node
    }
  }
}

describe('devices: the document of the fleet', () => {
  it('says of two lines about one setting what the later one says', () => {
    const { settings } = wishes.parse({
      settings: [
        { devices: '*', values: { a: 1, b: 1 } },
        { devices: 'valve:*', values: { b: 2 } },
        { agent: eve.account, devices: 'valve:*', values: { b: 3 } }
      ]
    })
    const says = { groups: {}, settings }
    deepEqual(settingsFor(says, board.account, 'valve:1'), { a: 1, b: 2 })
    deepEqual(settingsFor(says, eve.account, 'valve:1'), { a: 1, b: 3 })
    deepEqual(settingsFor(says, board.account, 'host:1'), { a: 1, b: 1 })
  })

  it('names devices by groups; one that is not there holds none', () => {
    const groups = { 'line-2': ['tv:a', 'valve:*'] }
    const lines = (names: string[]) =>
      wishes.parse({
        groups,
        settings: names.map(name => ({ devices: name, values: { [name]: 1 } })),
        grants: names.map(devices => ({ peer: eve.account, devices }))
      })
    const says = lines(['@line-2', '@line-3', '@constructor', 'tv:*'])
    const asked = { peer: eve.account, name: 'turn', risk: 1 } as const
    const named = (device: string) => [
      Object.keys(settingsFor(says, board.account, device)),
      grantsFor(says, { ...asked, device }, 0).map(({ devices }) => devices)
    ]
    for (const [device, expected] of [
      ['tv:a', ['@line-2', 'tv:*']],
      ['tv:b', ['tv:*']],
      ['valve:9', ['@line-2']],
      ['@line-2', []]
    ] as const)
      deepEqual(named(device), [expected, expected], device)
    deepEqual([...new Set(missingGroups(says))], ['@line-3', '@constructor'])
    deepEqual(missingGroups(lines(['@line-2'])), [])
  })

  it('names devices by what is announced of them, too', () => {
    const names = ['tv:* line=2', 'tv:* line=2 station=Arb*', 'tv:b line=2', '@line-2', 'tv:* constructor=*']
    const says = wishes.parse({
      groups: { 'line-2': ['valve:*', 'tv:* line=2'] },
      settings: names.map(name => ({ devices: name, values: { [name]: 1 } })),
      grants: names.map(devices => ({ peer: eve.account, devices }))
    })
    const asked = { peer: eve.account, name: 'turn', risk: 1 } as const
    for (const [device, facts, expected] of [
      ['tv:a', { line: '2', station: 'Arbat' }, ['tv:* line=2', 'tv:* line=2 station=Arb*', '@line-2']],
      ['tv:a', { line: 2, station: 'Kursk' }, ['tv:* line=2', '@line-2']],
      ['tv:b', { line: '2' }, ['tv:* line=2', 'tv:b line=2', '@line-2']],
      ['tv:a', { line: '20' }, []],
      ['tv:a', undefined, []],
      // a name that says so is not what is announced
      ['tv:a line=2', {}, []],
      ['valve:1', {}, ['@line-2']]
    ] as const) {
      deepEqual(Object.keys(settingsFor(says, board.account, device, facts)), expected, device)
      deepEqual(
        grantsFor(says, { ...asked, device, facts }, 0).map(({ devices }) => devices),
        expected,
        device
      )
    }
  })

  it('says whose a device is that two boards have had', () => {
    const rows = [
      { agent: 'old', id: 'sas:1' },
      { agent: 'old', id: 'host:old' },
      { agent: 'new', id: 'sas:1' }
    ]
    deepEqual(standing(rows, ['new']), rows.slice(1))
    for (const agents of [[], ['old', 'new'], ['other']]) deepEqual(standing(rows, agents), rows)
  })

  it('that is none is refused by name', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map(text => Buffer.from(text))
        ),
        bytes => {
          throws(() => fleetDocuments.read({ issuer: 'x', bytes, signature: bytes }), {
            name: 'DocumentError'
          })
        }
      )
    )
  })

  it('goes from its owner to the nodes beside devices, and from those to an owner that does not have it', async () => {
    const net = network()
    const [one, node] = [net.start(ann), net.start(board)]
    equal(await one.write(0), 1)
    equal(node.version(), 1)
    equal(one.heard(board.account).version, 1)

    net.cut.add(board.account)
    equal(await one.write(1), 2)
    equal(node.version(), 1)
    match(one.heard(board.account).error!, /cannot be reached/)
    net.cut.clear()
    // whichever of them begins
    await node.round(signal)
    equal(node.version(), 2)
    equal(node.age(), 0, 'its owner was heard')

    const two = net.start(bob)
    await node.round(signal)
    await two.round(signal)
    equal(two.version(), 2)
    equal(await two.write(2), 3)
    deepEqual([one.version(), node.version()], [3, 3], 'any owner writes the next one')
  })

  it('of somebody else, altered, older, or of another fleet is refused', async () => {
    const node = network().start(board)
    await node.take(signedBy(ann, content({ version: 5 })))
    await rejects(node.take(signedBy(eve, content({ version: 6 }))), {
      name: 'DocumentError',
      message: /no owner/
    })
    const forged = { ...signedBy(eve, content({ version: 6 })), issuer: ann.account }
    await rejects(node.take(forged), { name: 'DocumentError', message: /has not signed/ })
    await rejects(node.take(signedBy(ann, content({ version: 6, fleet: 'g' }))), { name: 'DocumentError' })
    equal(await node.take(signedBy(ann, content({ version: 4 }))), 'older')
    equal(node.version(), 5)
    await rejects(node.take(signedBy(bob, content({ version: 5, at: 6 }))), { message: /two documents/ })
    match(node.troubles.get('document')!, /version 5/)
    equal(await node.take(signedBy(bob, content({ version: 6 }))), 'newer')
    equal(node.troubles.size, 0, 'the next one ends it')
  })

  it('is not begun anew by an owner that lost its database, nor by one whose log is lost too', async () => {
    const net = network()
    const node = net.start(board)
    const first = net.start(ann)
    for (let version = 0; version < 7; version++) await first.write(version)

    // the log remembers, also where nobody answers
    net.cut.add(board.account)
    const lost = net.start(ann)
    equal(lost.version(), 0)
    await rejects(lost.write(0), { name: 'ConflictError', message: /version 7/ })
    match(lost.troubles.get('document')!, /version 7 .* is not here/)
    net.cut.clear()
    await node.round(signal)
    equal(lost.version(), 7, 'the others give it back')
    equal(lost.troubles.size, 0)

    // a new disk: the others remember
    net.logs.delete(ann.account)
    const empty = net.start(ann)
    await rejects(empty.write(0), { name: 'ConflictError', message: /version 7/ })
    equal(await empty.write(7), 8)

    // nobody answers and nothing is remembered: what it says counts for nobody who knows better, and it hears so
    net.logs.delete(ann.account)
    net.cut.add(board.account)
    const alone = net.start(ann)
    equal(await alone.write(0), 1)
    net.cut.clear()
    await alone.round(signal)
    deepEqual([alone.version(), node.version()], [8, 8])
    match(alone.troubles.get('memory')!, /version 8 .* did not know/)
    await alone.write(8)
    equal(alone.troubles.size, 0)
  })

  it('of an owner is written by nobody else, and on what is the newest', async () => {
    const net = network()
    const node = net.start(board)
    const one = net.start(ann)
    await rejects(node.write(0), { name: 'ForbiddenError' })
    await one.write(0)
    await rejects(one.write(0), { name: 'ConflictError' })
    await rejects(one.write(2), { name: 'ConflictError' })
  })
})

describe('devices: settings of the fleet', () => {
  it('are made so, again when somebody has changed them, and what cannot be so is told', async () => {
    const values: Record<string, number | string> = { level: 1, name: 'x' }
    let isStuck = false
    const notes: object[] = []
    const setting = (name: string, type: 'number' | 'text') => ({
      type,
      now: () => values[name]!,
      set(value: unknown) {
        if (name === 'name') throw new Error('it has no display')
        if (!isStuck) values[name] = value as number
      }
    })
    const wanted = content({
      settings: [{ devices: 'valve:*', values: { level: 7, name: 'y', other: 1 } }]
    })
    const settings = createSettings({
      self: board.account,
      document: () => wanted,
      opened: () =>
        new Map([
          ['valve:1', { settings: { level: setting('level', 'number'), name: setting('name', 'text') } }]
        ]),
      note: async (device, body) => void notes.push({ device, ...body })
    })
    const line = (name: string) => settings.states().find(each => each.name === name)
    await settings.apply(signal)
    equal(values.level, 7)
    deepEqual(line('level'), { device: 'valve:1', name: 'level', wanted: 7, actual: 7 })
    deepEqual(line('name'), { ...line('name'), actual: 'x', why: 'it has no display' })
    match(line('other')!.why!, /no such setting/)
    await settings.apply(signal)
    deepEqual(notes, [{ device: 'valve:1', name: 'level', before: 1, now: 7, version: 1 }], 'written once')
    values.level = 3
    await settings.apply(signal)
    equal(values.level, 7, 'somebody had turned it')
    values.level = 3
    isStuck = true
    await settings.apply(signal)
    deepEqual(line('level'), {
      ...{ device: 'valve:1', name: 'level', wanted: 7, actual: 3 },
      why: 'it did not take it'
    })
  })
})
