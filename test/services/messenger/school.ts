import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { messenger, OWNER } from '../../../services/index.ts'
import { createTestDirectory, startHost, type TestHostInit } from '../host/start-host.ts'

const WAIT_MS = 180_000

export type Node = Awaited<ReturnType<typeof startNode>>

export async function startNode(
  directory: ReturnType<typeof createTestDirectory>,
  init: {
    folder?: string
    identity?: TestHostInit['identity']
    lines?: string[]
    settings?: Record<string, unknown>
    now?: () => number
  } = {}
) {
  const { settings = {}, ...rest } = init
  const host = await startHost({
    modules: [messenger],
    directory,
    settings: { messenger: settings },
    ...rest
  })
  return {
    ...host,
    call: async (operation: string, input: object = {}): Promise<any> =>
      host.services.call('messenger', operation, input as never, { caller: OWNER })
  }
}

/** Nodes on loopback that know each other; the first founds a school and keeps its mail. */
export async function openSchool({ now = Date.now } = {}) {
  const started = new AsyncDisposableStack()
  const directory = createTestDirectory()
  const nodes: Node[] = []
  async function node(init: Parameters<typeof startNode>[1] = {}): Promise<Node> {
    const made = started.use(await startNode(directory, { now, ...init }))
    // one that was there before may be dialing already, without an address, and who dials then waits for that
    for (const other of nodes)
      if (other.libp2p.status === 'started') await made.connect(other).catch(() => made.connect(other))
    nodes.push(made)
    return made
  }
  const desk = await node()
  await desk.call('found', { name: 'School 7', me: 'Admin' })
  /** A node of a person who was added. */
  async function joinAs(
    user: string,
    role: string,
    init: Parameters<typeof startNode>[1] = {}
  ): Promise<Node> {
    const { invitation } = await desk.call('addUser', { user, name: user, role, classes: ['7b'] })
    const made = await node(init)
    await made.call('join', { code: invitation.code })
    return made
  }
  return { desk, node, join: joinAs, directory, nodes, [Symbol.asyncDispose]: () => started.disposeAsync() }
}

export async function until(what: string | (() => string), holds: () => unknown): Promise<void> {
  const end = Date.now() + WAIT_MS
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`)
    await delay(50)
  }
}

export const textsOf = async (node: Node, group: string): Promise<string[]> => {
  const { items } = await node.call('messages', { group })
  return items
    .filter((each: any) => each.text != null)
    .map((each: any) => each.text)
    .toReversed()
}
export const has = async (node: Node, group: string): Promise<boolean> =>
  (await node.call('groups')).items.some((each: any) => each.id === group && each.isIn)

/** Writes to a chat, again while the keys of its newest members are on their way. */
export const say = (node: Node, group: string, text: string): Promise<void> =>
  until(`${text} is said`, () =>
    node.call('send', { group, text }).then(
      () => true,
      (error: Error) => {
        if (error.name !== 'PolicyError') throw error
        return false
      }
    )
  )

/** Calls again while what it needs of others is still on its way to this node or to the mailboxes. */
export async function whenKnown(node: Node, operation: string, input: object): Promise<any> {
  let answer: unknown
  await until(`${operation} is done`, async () => {
    try {
      answer = await node.call(operation, input)
      return true
    } catch (error) {
      const { name, message } = error as Error
      if (name === 'UnknownChatError' || message.includes('no mailbox has a key package')) return false
      throw error
    }
  })
  return answer
}

function missing(error: NodeJS.ErrnoException): Buffer {
  if (error.code !== 'ENOENT') throw error
  return Buffer.alloc(0)
}

/** Whether any file below a folder holds one of these texts. */
export async function contains(folder: string, texts: string[]): Promise<boolean> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    // one that was only there for a moment holds nothing
    const bytes = await readFile(join(entry.parentPath, entry.name)).catch(missing)
    if (texts.some(text => bytes.includes(text))) return true
  }
  return false
}

/** Nobody reaches anybody of the other side, until it is healed. */
export async function cut(sides: Node[][]): Promise<() => Promise<void>> {
  const heals: (() => Promise<void>)[] = []
  for (const [i, side] of sides.entries())
    for (const node of side) {
      const others = sides.filter((_, j) => j !== i).flat()
      const { dialProtocol } = node.libp2p
      node.libp2p.dialProtocol = (peer, ...rest) =>
        others.some(({ id }) => id === String(peer))
          ? Promise.reject(new Error('the network is cut'))
          : dialProtocol.call(node.libp2p, peer, ...rest)
      for (const { libp2p } of others) await node.libp2p.hangUp(libp2p.peerId)
      heals.push(async () => {
        node.libp2p.dialProtocol = dialProtocol
        for (const other of others) await node.connect(other)
      })
    }
  return async () => {
    for (const heal of heals) await heal()
  }
}
