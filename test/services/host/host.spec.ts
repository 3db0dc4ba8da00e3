import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Counter } from 'prom-client'
import { z } from 'zod'
import {
  declare,
  type HostOf,
  message,
  micro,
  OWNER,
  operation,
  type ServiceOf,
  service
} from '../../../services/index.ts'
import { eventually } from '../../sandbox/processes.ts'
import { createTestDirectory, startHost } from './start-host.ts'

class NoteError extends Error {
  override readonly name = 'NoteError'
}

const declaration = declare({
  name: 'notes',
  version: 1,
  summary: 'notes for tests',
  config: z.object({
    most: z.int().default(3).describe('most notes').meta({ live: true }),
    color: z.string().default('red').describe('of the paper')
  }),
  operations: {
    add: operation({
      summary: 'Add a note',
      input: z.strictObject({ text: z.string().max(10), price: micro.optional() }),
      output: z.object({ count: z.int(), price: micro.optional() }),
      http: { method: 'POST', path: '/notes' },
      scope: 'notes:write'
    }),
    count: operation({
      summary: 'How many notes',
      input: z.strictObject({}),
      output: z.object({ count: z.int(), color: z.string() }),
      http: { method: 'GET', path: '/notes/count' },
      scope: 'notes:read',
      peers: 'allowed'
    }),
    slow: operation({
      summary: 'Never ends',
      input: z.strictObject({}),
      output: z.object({}),
      http: { method: 'GET', path: '/notes/slow' },
      deadlineMs: 50
    })
  },
  messages: {
    each: {
      request: z.object({ times: z.int().max(1000).default(0) }),
      answer: z.object({ done: z.int() }),
      items: z.object({ bytes: z.instanceof(Uint8Array) }),
      maxBytes: 300_000
    },
    sum: {
      request: z.object({}),
      answer: z.object({ sum: z.int() }),
      sends: z.int()
    },
    back: {
      request: z.object({}),
      answer: z.object({}),
      sends: z.instanceof(Uint8Array),
      items: z.instanceof(Uint8Array),
      maxBytes: 300_000
    }
  },
  errors: { NoteError: { exit: 2, status: 400 } }
})

function createNotes(host: HostOf<typeof declaration>): ServiceOf<typeof declaration> {
  const db = host.database(['CREATE TABLE note (text TEXT)', 'ALTER TABLE note ADD COLUMN at INTEGER'])
  const added = new Counter({ name: 'added_total', help: 'notes added', registers: [host.metrics] })
  const count = () => Number(db.prepare('SELECT count(*) AS n FROM note').get()!.n)
  host.announce(true)
  return {
    operations: {
      add({ text, price }) {
        if (text === 'boom') throw new Error('out of paper')
        if (count() >= host.config.most) throw new NoteError(`no more than ${host.config.most} notes`)
        db.prepare('INSERT INTO note (text, at) VALUES (?, ?)').run(text, host.now())
        added.inc()
        host.tell('added', text)
        return { count: count(), price }
      },
      count: () => ({ count: count(), color: host.config.color }),
      slow: () => new Promise(() => {})
    },
    messages: {
      async each({ times }, { send }) {
        for (let i = 0; i < times; i++) await send({ bytes: new Uint8Array(200_000).fill(i) })
        return { done: times }
      },
      async sum(_, { received }) {
        let sum = 0
        for await (const value of received) sum += value
        return { sum }
      },
      async back(_, { received, send }) {
        for await (const bytes of received) await send(bytes)
        return {}
      }
    }
  }
}

const notes = service(declaration, async () => createNotes)
const owner = { caller: OWNER }

describe('services: host', () => {
  it('gives a service its folder, database, metrics, settings; and takes its answers', async () => {
    await using host = await startHost({ modules: [notes] })
    deepEqual(host.services.health(), [
      { service: 'notes', version: 1, summary: 'notes for tests', state: 'running' }
    ])
    const told: unknown[] = []
    host.services.addEventListener('tell', ({ detail }) => told.push(detail))
    const answer = await host.services.call(
      'notes',
      'add',
      { text: 'a', price: '12345678901234567890' },
      owner
    )
    deepEqual(answer, { count: 1, price: 12345678901234567890n })
    deepEqual(told, [{ type: 'notes:added', value: 'a', to: undefined }])
    equal((await stat(join(host.folder, 'notes'))).mode & 0o777, 0o700)
    match(await host.services.metrics().metrics(), /^artel_notes_added_total 1$/m)
  })

  it('makes the schemas of a service that is off for nobody, and each once when it is on', async () => {
    let made = 0
    const empty = () => {
      made++
      return z.object({})
    }
    const lazy = service(
      declare({
        name: 'lazy',
        version: 1,
        summary: 'schemas that are made when somebody asks for them',
        operations: {
          look: operation({
            summary: 'Looks',
            input: empty,
            output: empty,
            http: { method: 'GET', path: '/lazy' },
            peers: 'allowed'
          })
        },
        messages: { say: message({ request: empty, answer: empty }) }
      }),
      async () => () => ({ operations: { look: () => ({}) }, messages: { say: () => ({}) } })
    )
    {
      await using off = await startHost({ modules: [lazy], settings: { lazy: { enabled: false } } })
      await rejects(off.services.call('lazy', 'look', {}, owner), { name: 'ServiceOffError' })
      equal(made, 0)
    }
    await using on = await startHost({ modules: [lazy], settings: { lazy: {} } })
    for (let i = 0; i < 2; i++) deepEqual(await on.services.call('lazy', 'look', {}, owner), {})
    // what nobody says is not made either
    equal(made, 2)
  })

  it('decides access before the input is looked at', async () => {
    await using host = await startHost({ modules: [notes] })
    const as = (...scopes: string[]) => ({ caller: { is: 'grant', grant: { id: 'x', scopes } } as const })
    const call = (operation: string, init: object) =>
      host.services.call('notes', operation, { nonsense: true }, init as never)
    await rejects(call('add', as('notes:read', 'read', 'submit')), { name: 'ForbiddenError' })
    await rejects(call('add', as('notes:admin')), { name: 'RequestError', message: /^text: / })
    await rejects(call('add', { caller: { is: 'stranger' } }), { name: 'ForbiddenError' })
    await rejects(call('count', { caller: { is: 'peer', peer: 'p' } }), { name: 'ForbiddenError' })
    await rejects(call('none', owner), { name: 'UnknownOperationError' })
  })

  it('keeps live settings apart from those of the next start', async () => {
    await using host = await startHost({ modules: [notes] })
    host.settings.notes = { most: 1, color: 'blue' }
    await host.services.configure()
    deepEqual(await host.services.call('notes', 'count', {}, owner), { count: 0, color: 'red' })
    await host.services.call('notes', 'add', { text: 'a' }, owner)
    await rejects(host.services.call('notes', 'add', { text: 'b' }, owner), { name: 'NoteError' })
    host.settings.notes = { enabled: false }
    await host.services.configure()
    await rejects(host.services.call('notes', 'count', {}, owner), {
      name: 'ServiceOffError',
      message: /notes.enabled/
    })
    host.settings.notes = { color: 'blue' }
    await host.services.configure()
    deepEqual(await host.services.call('notes', 'count', {}, owner), { count: 1, color: 'blue' })
  })

  it('says what a handler did wrong until it does right, and gives every call an answer', async () => {
    await using host = await startHost({ modules: [notes] })
    const health = () => host.services.health()[0]!
    await rejects(host.services.call('notes', 'add', { text: 'boom' }, owner), { message: 'out of paper' })
    deepEqual([health().state, health().reason], ['degraded', 'notes.add: out of paper'])
    await host.services.call('notes', 'add', { text: 'a' }, owner)
    equal(health().state, 'running')
    await rejects(host.services.call('notes', 'slow', {}, owner), { name: 'OverdueError' })
    match(health().reason ?? '', /notes.slow took more than 50 ms/)
  })

  it('starts a service again with growing waits, and another one is none the worse', async () => {
    let starts = 0
    const bad = service({ name: 'bad', version: 1, summary: 'fails', operations: {} }, async () => () => {
      if (starts++ < 1) throw new Error('no luck')
      return { operations: {} }
    })
    const hung = service({ name: 'hung', version: 1, summary: 'hangs', operations: {} }, async () => () => ({
      operations: {},
      start: () => new Promise<void>(() => {})
    }))
    await using host = await startHost({ modules: [bad, hung, notes], hangs: true })
    const states = () => host.services.health().map(({ state }) => state)
    await eventually('it was tried again', () => states()[0] === 'running')
    deepEqual(states(), ['running', 'starting', 'running'])
    equal(starts, 2)
    await host.services.call('notes', 'add', { text: 'a' }, owner)
  })

  it('has who calls while a service starts wait for it, until he leaves', async () => {
    const start = Promise.withResolvers<void>()
    const late = service({ ...declaration, messages: {} }, async () => host => ({
      operations: createNotes(host).operations,
      start: () => start.promise
    }))
    await using host = await startHost({ modules: [late], hangs: true })
    const leaving = new AbortController()
    const left = host.services.call('notes', 'count', {}, { ...owner, signal: leaving.signal })
    const answer = host.services.call('notes', 'count', {}, owner)
    leaving.abort(new Error('gone'))
    await rejects(left, /gone/)
    equal(host.services.health()[0]!.state, 'starting')
    start.resolve()
    deepEqual(await answer, { count: 0, color: 'red' })
  })

  it('goes on with repeated work that throws, and says so', async () => {
    let isBroken = true
    const poller = service(
      { name: 'poller', version: 1, summary: 'polls', operations: {} },
      async () => host => {
        host.repeat('poll', 1, () => {
          if (isBroken) throw new Error('no line')
        })
        return { operations: {} }
      }
    )
    await using host = await startHost({ modules: [poller] })
    await eventually('the health says so', () => host.services.health()[0]!.reason === 'poll: no line')
    isBroken = false
    await eventually('the health says so', () => host.services.health()[0]!.state === 'running')
  })

  it('keeps the database over a restart, and refuses one of a newer version', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-host-'))
    try {
      {
        await using host = await startHost({ modules: [notes], folder })
        await host.services.call('notes', 'add', { text: 'a' }, owner)
      }
      const older = service({ ...declaration, operations: {}, messages: {} }, async () => host => {
        host.database(['CREATE TABLE note (text TEXT)'])
        return { operations: {} }
      })
      {
        await using host = await startHost({ modules: [older], folder })
        match(host.services.health()[0]!.reason ?? '', /of version 2, this program knows 1/)
      }
      await using host = await startHost({ modules: [notes], folder })
      deepEqual(await host.services.call('notes', 'count', {}, owner), { count: 1, color: 'red' })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('gives a service what it needs and nothing else, in the right order', async () => {
    const seen: unknown[] = []
    const base = service({ name: 'base', version: 1, summary: 'b', operations: {} }, async () => () => ({
      operations: {},
      api: { answer: 42 }
    }))
    const top = service(
      { name: 'top', version: 1, summary: 't', operations: {}, needs: ['base'] },
      async () => host => {
        seen.push(host.use)
        return { operations: {} }
      }
    )
    await using host = await startHost({ modules: [top, base], capabilities: { jobs: {} as never } })
    deepEqual(seen, [{ base: { answer: 42 } }])
    host.settings.base = { enabled: false }
    await host.services.configure()
    await eventually(
      'the health says so',
      () => host.services.health().find(({ service }) => service === 'top')!.state === 'failed'
    )
  })
})

/** A service that asks its peers, seen from the test. */
async function withAsker() {
  let asker: HostOf<typeof declaration> | undefined
  const spy = service(declaration, async () => host => {
    asker = host
    return createNotes(host)
  })
  const directory = createTestDirectory()
  await using started = new AsyncDisposableStack()
  const lines: string[] = []
  const there = started.use(await startHost({ modules: [notes], directory, lines }))
  const here = started.use(await startHost({ modules: [spy], directory }))
  await here.connect(there)
  const all = started.move()
  return {
    there,
    here,
    peers: asker!.peers,
    host: asker!,
    lines,
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

describe('services: peers', () => {
  it('finds who has the service, asks, reads many items slowly, sends many', async () => {
    await using net = await withAsker()
    const found: string[] = []
    for await (const peer of net.peers.find()) found.push(peer)
    deepEqual(found, [net.there.id])
    // 10 MB at a reader that is slower than the writer
    const exchange = net.peers.open(net.there.id, 'each', { times: 50 })
    let seen = 0
    for await (const { bytes } of exchange.items) {
      equal(bytes[0], seen++ % 256)
      await new Promise(setImmediate)
    }
    deepEqual(await exchange.answer, { done: 50 })
    equal(seen, 50)
    const sums = net.peers.open(net.there.id, 'sum', {})
    for (let i = 1; i <= 100; i++) await sums.send(i)
    await sums.end()
    deepEqual(await sums.answer, { sum: 5050 })
  })

  it('ends what it sends by its deadline, where the other takes nothing and nobody reads what it answers', async () => {
    await using net = await withAsker()
    const protocol = '/artel/test/notes/1'
    await net.there.libp2p.unhandle(protocol)
    await net.there.libp2p.handle(protocol, stream => stream.pause())
    const back = net.peers.open(net.there.id, 'back', {}, { deadlineMs: 1_000 })
    // more than any window takes
    const sent = Array.from({ length: 100 }, () => back.send(new Uint8Array(200_000)))
    const all = Promise.allSettled(sent)
    await rejects(back.end(), { name: 'OverdueError' })
    await rejects(back.answer, { name: 'OverdueError' })
    await all
    const isOpen = () =>
      net.here.libp2p
        .getConnections()
        .some(({ streams }) => streams.some(stream => stream.protocol === protocol))
    await eventually('the stream is gone', () => !isOpen())
  })

  it('asks the operations that are open to it, as the owner over there allows', async () => {
    await using net = await withAsker()
    const count = () => net.peers.ask(net.there.id, 'count', {})
    await rejects(count(), { name: 'ForbiddenError' })
    net.there.settings.notes = { allowedPeers: [net.here.id] }
    await net.there.services.configure()
    deepEqual(await count(), { count: 0, color: 'red' })
    net.there.settings.notes = { allowedPeers: ['*'], deniedPeers: [net.here.id] }
    await net.there.services.configure()
    await rejects(count(), { name: 'ForbiddenError' })
  })

  it('refuses what is malformed, too long or unknown by name, and lives on', async () => {
    await using net = await withAsker()
    const ask = (name: string, request: unknown) =>
      net.peers.ask(net.there.id, name as 'each', request as never)
    await rejects(net.peers.ask(net.there.id, 'each', { times: 1e9 }), {
      name: /RequestError|ZodError|\$ZodError/
    })
    await rejects(ask('add', { text: 'a' }), { name: 'UnknownOperationError' })
    const stranger = await net.here.libp2p.dialProtocol(net.there.libp2p.peerId, '/artel/test/notes/1')
    const closed = new Promise(resolve => stranger.addEventListener('close', resolve))
    stranger.send(new Uint8Array(100_000).fill(0xff))
    await closed
    ok(net.lines.some(line => line.includes('length without end')))
    // what has a default may be left out
    deepEqual(await net.peers.ask(net.there.id, 'each', {}), { done: 0 })
    equal(net.there.services.health()[0]!.state, 'running')
  })

  it('says when the other is off, and signs so that the other can check', async () => {
    await using net = await withAsker()
    const bytes = Buffer.from('an order')
    const signature = net.host.sign('order/1', bytes)
    equal(net.host.isSigned(net.here.id, 'order/1', bytes, signature), true)
    equal(net.host.isSigned(net.here.id, 'order/2', bytes, signature), false)
    net.there.settings.notes = { enabled: false }
    await net.there.services.configure()
    await rejects(net.peers.ask(net.there.id, 'each', { times: 1 }), { name: 'UnreachableError' })
  })
})
