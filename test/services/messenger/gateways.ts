import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ArtelNode, createNode, loadConfig } from '../../../node/index.ts'
import { OWNER, slots } from '../../../services/index.ts'
import { address } from '../../bootstrap/nodes.ts'
import { until } from './school.ts'

interface Init {
  isFounded: boolean
  /** settings of one node beside those of both */
  ofBob?: Record<string, unknown>
  ofDesk?: Record<string, unknown>
}

/** Nodes in this process with a gateway and the messenger: the first founds a school, the second is Bob's. */
export async function openGateways({ isFounded, ofBob = {}, ofDesk = {} }: Init) {
  await using started = new AsyncDisposableStack()
  let owner = started
  const folder = await mkdtemp(join(tmpdir(), 'artel-messenger-page-'))
  started.defer(() => rm(folder, { recursive: true, force: true }))
  let updates = 0
  /** What becomes of releases here: the first is kept, the others do not work. */
  async function tryRelease(data: string): Promise<void> {
    const releases = join(data, slots.RELEASES)
    const state = await slots.readState(releases)
    const next = updates++ === 0 ? slots.kept(state) : slots.givenUp(state, { is: 'exited', of: ['9'] })
    await slots.writeState(releases, next)
  }
  async function start(name: string, seeds: string[], own: Record<string, unknown> = {}): Promise<ArtelNode> {
    const flags = {
      data: join(folder, name),
      logLevel: 'silent',
      compute: false,
      'gateway.enabled': true,
      'gateway.port': 0,
      'messenger.enabled': true,
      'messenger.listen': true,
      'messenger.port': 0,
      ...(seeds.length === 0 ? {} : { seeds }),
      ...own
    }
    const node = await createNode(
      loadConfig({ environment: {}, flags }),
      seeds.length === 0 ? { role: 'seed', restart: () => void tryRelease(flags.data) } : {}
    )
    owner.defer(() => node.stop())
    return node
  }
  const desk = await start('desk', [], ofDesk)
  const bob = await start('bob', [address(desk)], ofBob)
  const call = (node: ArtelNode, operation: string, input: object = {}): Promise<any> =>
    node.services.call('messenger', operation, input as never, { caller: OWNER })
  /** A request below /api/v1; without a token the one of the node's owner. */
  async function ask(
    node: ArtelNode,
    method: string,
    path: string,
    body?: object,
    token = node.gateway!.token!,
    headers: Record<string, string> = {}
  ): Promise<{ status: number; body: any; headers: Headers }> {
    const response = await fetch(`${node.gateway!.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body == null ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body == null ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    return {
      status: response.status,
      body: text === '' ? undefined : JSON.parse(text),
      headers: response.headers
    }
  }
  async function join_(code: string): Promise<void> {
    await until('bob’s node knows the school', () =>
      call(bob, 'join', { code }).then(
        () => true,
        () => false
      )
    )
  }
  if (isFounded) {
    await call(desk, 'found', { name: 'School 7', me: 'Anna Admin' })
    const { invitation } = await call(desk, 'addUser', { user: 'bob', name: 'Bob', classes: ['7b'] })
    await join_(invitation.code)
  }
  const all = started.move()
  owner = all
  /** The first node anew, after it was stopped. */
  const deskAgain = (): Promise<ArtelNode> => start('desk', [], ofDesk)
  /** One more, in no school. */
  const another = (name: string): Promise<ArtelNode> => start(name, [address(desk)])
  return {
    folder,
    desk,
    bob,
    call,
    ask,
    another,
    deskAgain,
    join: join_,
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}
