import { setTimeout as delay } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { messenger, OWNER } from '../../services/index.ts'
import { createTestDirectory, startHost } from '../../test/services/host/start-host.ts'

/*
 * Nodes of a school in a process of their own: the mailbox, or some of the people. The parent sends { id, work, input } and
 * gets { id, result } or { id, error }. Times are of the machine's clock, ms, which all processes share.
 */

const POLL_MS = 10
/** Looking costs as much as a message does: not while more comes. */
const LOOK_MS = 50
const QUIET_MS = 1_000
const clock = (): number => Number(process.hrtime.bigint()) / 1e6

type Host = Awaited<ReturnType<typeof startHost>>
interface Node extends AsyncDisposable {
  host: Host
  /** when it first heard of something new since it was asked to listen */
  heard?: number | undefined
  /** when it last heard of something new */
  told?: number
}

const directory = createTestDirectory()
const nodes = new Map<string, Node>()
/** a node that starts again is the same */
const before = new Map<string, Host['identity']>()

const call = <T>({ host }: Node, operation: string, input: object): Promise<T> =>
  host.services.call('messenger', operation, input as never, { caller: OWNER }) as Promise<T>

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(POLL_MS)
}

async function hasAll(node: Node, group: string, message: string): Promise<number> {
  type Lines = { items: { id: string }[] }
  for (let seen = -1; ; await delay(LOOK_MS)) {
    const { told } = node
    // what it did not tell of counts when it is seen
    const isNew = told !== undefined && told !== seen
    if (!isNew && clock() - seen < QUIET_MS) continue
    seen = told ?? clock()
    const { items } = await call<Lines>(node, 'messages', { group, limit: 1 })
    if (items[0]?.id === message) return isNew ? told : clock()
  }
}

const all = <T>(work: (node: Node) => Promise<T>): Promise<T[]> => Promise.all([...nodes.values()].map(work))

const works = {
  async start({ name, folder, seeds }: { name: string; folder: string; seeds: string[] }) {
    const identity = before.get(name)
    const init = { modules: [messenger], directory, folder }
    const host = await startHost(identity == null ? init : { ...init, identity })
    before.set(name, host.identity)
    const node: Node = { host, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() }
    nodes.set(name, node)
    host.services.addEventListener('tell', ({ detail: { type } }) => {
      if (type !== 'messenger:chat') return
      node.told = clock()
      node.heard ??= node.told
    })
    await until(() => host.services.health().every(({ state }) => state === 'running'))
    // a node takes so many connections a second and no more
    if (seeds.length > 0)
      await until(() =>
        host.libp2p.dial(seeds.map(each => multiaddr(each))).then(
          () => true,
          () => false
        )
      )
    return host.libp2p.getMultiaddrs().map(String)
  },
  async stop({ name }: { name: string }) {
    await nodes.get(name)![Symbol.asyncDispose]()
    nodes.delete(name)
  },
  call: ({ name, operation, input }: { name: string; operation: string; input: object }) =>
    call(nodes.get(name)!, operation, input),
  /** all of these are in a chat */
  areIn: () =>
    all(node =>
      until(async () =>
        (await call<{ items: { isIn: boolean }[] }>(node, 'groups', {})).items.some(({ isIn }) => isIn)
      )
    ),
  /** one says so many texts as fast as he can; the last of them */
  async say({ name, group, texts }: { name: string; group: string; texts: string[] }) {
    const said = texts.map(text => call<{ id: string }>(nodes.get(name)!, 'send', { group, text }))
    return (await Promise.all(said)).at(-1)!.id
  },
  async listen() {
    for (const node of nodes.values()) node.heard = undefined
  },
  /** when each of these first heard, once all have all */
  async heard({ group, message, but }: { group: string; message: string; but: string }) {
    const others = [...nodes].filter(([name]) => name !== but).map(([, node]) => node)
    await Promise.all(others.map(node => hasAll(node, group, message)))
    return others.map(node => node.heard!)
  },
  /** when the last of these has all */
  has: async ({ group, message }: { group: string; message: string }) =>
    Math.max(...(await all(node => hasAll(node, group, message))))
}
export type Works = typeof works

process.on('message', ({ id, work, input }: { id: number; work: keyof Works; input: never }) => {
  void (works[work] as (input: never) => Promise<unknown>)(input).then(
    result => process.send!({ id, result }),
    ({ message }: Error) => process.send!({ id, error: message })
  )
})
process.on('disconnect', () => process.exit(1))
process.on('SIGTERM', () => void all(async node => node[Symbol.asyncDispose]()).then(() => process.exit(0)))
process.send!({ id: 0 })
