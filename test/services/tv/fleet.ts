import type { createIdentity } from '../../../bootstrap/index.ts'
import { askPeer } from '../../../services/host/peer-streams.ts'
import { devices, files, OWNER, tv } from '../../../services/index.ts'
import { messages } from '../../../services/tv/messages.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'
import { FakeDaemon } from './fake-daemon.ts'
import { FakeTv } from './fake-tv.ts'

export interface Entry {
  device: string
  kind: string
  seq: number
  body: Record<string, any>
}
export type Outcome = {
  agent: string
  tv: string
  is: string
  why?: string
  readings?: Record<string, unknown>
}

const GRANT = /^(\S+) (\S+)(?: on (\S+(?: \w+=\S+)*))?(?: until (\S+))?$/
/** `PEER read,control on tv:1 until 2027-01-31`, as the document of the fleet has it. */
function grantOf(text: string): object {
  const [, peer, verbs, devices = 'tv:*', until] = GRANT.exec(text)!
  return {
    ...{ peer, devices, risk: 2, commands: verbs!.split(',').map(each => `${each}*`) },
    ...(until == null ? {} : { until: Date.parse(until) })
  }
}

/** Nodes in this process that share a directory, and simulated TVs; all of it ends with it. */
export function createFleet() {
  const directory = createTestDirectory()
  const stack = new AsyncDisposableStack()
  const hosts: Awaited<ReturnType<typeof startHost>>[] = []

  async function start(
    { grants = [], ...settings }: Record<string, unknown> & { grants?: string[] } = {},
    options: {
      folder?: string
      identity?: Awaited<ReturnType<typeof createIdentity>>
      devices?: Record<string, unknown>
    } = {}
  ) {
    const host = await startHost({
      modules: [tv, devices, files],
      settings: {
        // no simulated TV is slow, but the machine may be
        tv: { lookSeconds: 0.1, answerMs: 60_000, ...settings },
        devices: { fleetOwners: ['self'], ...options.devices }
      },
      directory,
      folder: options.folder,
      identity: options.identity
    })
    stack.defer(() => host[Symbol.asyncDispose]())
    for (const other of hosts) await host.connect(other)
    hosts.push(host)
    const call = <T>(
      operation: string,
      input: object = {},
      { service = 'tv', caller = OWNER }: { service?: string; caller?: typeof OWNER } = {}
    ): Promise<T> => host.services.call(service, operation, input as never, { caller }) as Promise<T>
    /** Each node here owns its fleet: who may what with its TVs. */
    async function grant(lines: string[]): Promise<void> {
      const inDevices = { service: 'devices' }
      const { version } = await call<{ version: number }>('fleet', {}, inDevices)
      const wishes = { agents: [host.id], settings: [], grants: lines.map(grantOf) }
      await call('setFleet', { wishes, after: version }, inDevices)
    }
    if (grants.length > 0) await grant(grants)
    return {
      host,
      id: host.id,
      call,
      grant,
      do: async (operation: string, on: string, args = {}, plan = {}): Promise<Outcome[]> =>
        (await call<{ items: Outcome[] }>('do', { operation, on, args, ...plan })).items,
      /** in the order of the log */
      entries: async (device: string): Promise<Entry[]> => {
        const { items } = await call<{ items: Entry[] }>(
          'events',
          { device, limit: 1000 },
          { service: 'devices' }
        )
        return items.sort((a, b) => a.seq - b.seq)
      },
      /** all TVs that it knows are up */
      up: (count: number, on = '*') =>
        until(async () => {
          const { items } = await call<{ items: { lamp: string; readings: object }[] }>('list', { on })
          return (
            items.length === count && items.every(each => each.lamp === 'shell' && 'volume' in each.readings)
          )
        }, `${count} TVs are up`),
      /** one message to another node, as this one */
      async ask(peer: string, name: keyof typeof messages, request: object): Promise<unknown> {
        const { items, answer } = askPeer(
          {
            network: host.libp2p as never,
            protocol: '/artel/test/tv/1',
            messages,
            signal: new AbortController().signal
          },
          peer,
          name,
          request
        )
        // the answer comes behind them
        for await (const _ of items);
        return answer
      },
      /** @returns the CID of bytes that this node shares from now on */
      share: async (bytes: Uint8Array, name?: string): Promise<string> => {
        const { cid } = (await host.services.call(
          'files',
          'upload',
          { name },
          {
            caller: OWNER,
            body: (async function* () {
              yield bytes
            })()
          }
        )) as { cid: string }
        return cid
      },
      async stop() {
        hosts.splice(hosts.indexOf(host), 1)
        await host[Symbol.asyncDispose]()
      }
    }
  }

  return {
    start,
    /** @returns as the setting `tvs` has it */
    async tv(name: string, tags = '', model = new FakeTv({ serial: name })) {
      const daemon = new FakeDaemon({ tv: model, isOpen: true })
      const place = `${name} ${await daemon.listen()}${tags === '' ? '' : ` ${tags}`}`
      stack.use(daemon)
      return { daemon, tv: model, place }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync()
  }
}
