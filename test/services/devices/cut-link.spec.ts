import { deepEqual, equal, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { createIdentity } from '../../../bootstrap/index.ts'
import { devices, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'
import { driverOf } from './driver-of.ts'

const SECOND_MS = 1_000
const HOUR = 3_600
/** Of a device that says something each second; more than a flush waits for. */
const AT_ONCE = 72

/** A wire to a port of this machine that can be cut. */
async function openWire() {
  const sockets = new Set<Socket>()
  let target = 0
  let isCut = false
  const server = createServer(socket => {
    if (isCut) return void socket.destroy()
    const far = connect(target, '127.0.0.1')
    for (const [from, to] of [
      [socket, far],
      [far, socket]
    ] as const) {
      sockets.add(from)
      from.on('error', () => {}) // its end is told to the other side by `close`
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    port,
    to(next: number): void {
      target = next
    },
    cut(): void {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    mend(): void {
      isCut = false
    },
    async [Symbol.asyncDispose]() {
      isCut = true
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    }
  }
}

describe('devices: a link', function () {
  this.timeout(600_000)

  it('that is cut for an hour under load, a witness started anew inside, loses and doubles nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'artel-link-'))
    const closing = new AsyncDisposableStack()
    closing.defer(() => rm(folder, { recursive: true, force: true }))
    try {
      let now = 1_800_000_000_000
      const clock = () => now
      const { driver, opened } = driverOf({
        kind: 'meter',
        serial: '1',
        name: 'm',
        readings: { n: { type: 'number' } },
        events: {}
      })
      const directory = createTestDirectory()
      const identities = await Promise.all([createIdentity(), createIdentity()])
      const wires = [closing.use(await openWire()), closing.use(await openWire())]
      const startWitness = async (i: number) => {
        const host = await startHost({
          modules: [devices],
          settings: { devices: { allowedPeers: ['*'] } },
          directory,
          folder: join(folder, `witness-${i}`),
          identity: identities[i]!,
          now: clock
        })
        wires[i]!.to(Number(host.libp2p.getMultiaddrs()[0]!.toString().split('/')[4]))
        return host
      }
      let first = await startWitness(0)
      closing.defer(async () => first[Symbol.asyncDispose]())
      const second = closing.use(await startWitness(1))
      const agent = closing.use(
        await startHost({
          modules: [devices, driver],
          settings: { devices: { witnessPeers: identities.map(({ peerId }) => peerId.toString()) } },
          directory,
          folder: join(folder, 'agent'),
          now: clock
        })
      )
      // they know each other by the wire alone
      const dial = (i: number) =>
        agent.libp2p.dial(multiaddr(`/ip4/127.0.0.1/tcp/${wires[i]!.port}/p2p/${identities[i]!.peerId}`))
      for (const i of [0, 1]) await dial(i)
      const device = await opened
      const call = <T>(of: typeof agent, operation: string, input = {}) =>
        of.services.call('devices', operation, input as never, { caller: OWNER }) as Promise<T>
      const own = async () => (await call<{ own: { last: number; delivered: number } }>(agent, 'status')).own

      let said = 0
      const say = async (seconds: number): Promise<void> => {
        const samples: Promise<unknown>[] = []
        for (let i = 0; i < seconds; i++) {
          now += SECOND_MS
          samples.push(device.sample({ n: ++said }))
        }
        await Promise.all(samples)
      }
      await say(AT_ONCE)
      const { last } = await own()
      await until(async () => (await own()).delivered >= last, 'both have the beginning')

      for (const wire of wires) wire.cut()
      for (let at = 0; at < HOUR; at += AT_ONCE) {
        await say(AT_ONCE)
        if (at === HOUR / 2) {
          await first[Symbol.asyncDispose]()
          first = await startWitness(0)
        }
      }
      const { delivered, last: atEnd } = await own()
      ok(delivered < atEnd - HOUR / 2, 'nothing has come over the wire')
      for (const wire of wires) wire.mend()
      // the load goes on meanwhile
      await until(async () => {
        await say(AT_ONCE / 10)
        return (await own()).delivered >= atEnd
      }, 'the hour is there, too')
      const end = (await own()).last
      await until(async () => (await own()).delivered >= end, 'and what was said meanwhile')

      for (const witness of [first, second]) {
        const { chains } = await call<{
          chains: { agent: string; number: number; first: number; last: number; missing: number }[]
        }>(witness, 'status')
        const kept = chains.filter(each => each.agent === agent.id)
        deepEqual(
          kept.map(each => [each.number, each.first, each.missing, each.last >= end]),
          [[0, 0, 0, true]]
        )
        const range = { from: 0, to: now + HOUR * SECOND_MS }
        const { points } = await call<{ points: { n: number; mean: number; last: number }[] }>(
          witness,
          'history',
          {
            ...{ device: 'meter:1', reading: 'n', step: 'hour', ...range }
          }
        )
        equal(
          points.reduce((sum, { n }) => sum + n, 0),
          said,
          'each once'
        )
        // 1 + 2 + … + n
        equal(Math.round(points.reduce((sum, { n, mean }) => sum + n * mean, 0)), (said * (said + 1)) / 2)
      }
    } finally {
      await closing.disposeAsync()
    }
  })
})
