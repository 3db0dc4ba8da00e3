import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hashOf } from '../services/messenger/core/codec.ts'
import { createMls } from '../services/messenger/groups/mls.ts'
import { keyOf } from '../test/services/messenger/devices.ts'
import type { Row, RunOptions } from './harness/contract.ts'
import { startNode } from './harness/fleet.ts'
import { end, residentMb } from './harness/process.ts'
import { openSchoolRoom, openXmppRoom, type Room } from './harness/rooms.ts'
import { beside, besideRows, percentile, summary } from './harness/statistics.ts'
import { createStage } from './peers/processes.ts'
import { openProsody, prosodyVersion } from './peers/xmpp.ts'

const PROSODY = 'prosody, no encryption'
const TEXT = 'x'.repeat(200)
const PASSWORD = 'correct horse battery'
const CONNECTIONS = 100
/** so many sign in at the same time */
const AT_ONCE = 8

export const metrics: Record<string, string> = {
  'messenger.delivered-p50':
    'one message in a room of 30, sent until each of the others has it on his disk: median; ten nodes share a process, the mailbox has its own',
  'messenger.delivered-p50-share': 'messenger.delivered-p50, how many times as fast as the peer',
  'messenger.delivered-p99': 'the same: 99th percentile',
  'messenger.delivered-p99-share': 'messenger.delivered-p99, how many times as fast as the peer',
  'messenger.two-p50': 'messenger.delivered-p50 between two people',
  'messenger.two-p50-share': 'messenger.two-p50, how many times as fast as the peer',
  'messenger.messages': 'messages of one in the room of 30, until all have all',
  'messenger.messages-share': 'messenger.messages as a multiple of the peer',
  'messenger.server-cpu': 'CPU time of the mailbox, or of the server, per message of these',
  'messenger.ends-cpu': 'CPU time of all thirty nodes, or clients, per message of these',
  'messenger.encryption-share': 'what MLS takes of messenger.ends-cpu: sealing once, opening 29 times',
  'messenger.sign-ins': `people who sign in with name and password, ${AT_ONCE} at a time`,
  'messenger.sign-ins-share': 'messenger.sign-ins as a multiple of the peer',
  'messenger.memory-100':
    'resident memory that 100 connections add to the node (WebSocket of the gateway), or to the server',
  'messenger.catch-up': '10,000 messages that one of two missed, until he has all, from when he runs again'
}

export const versions = async (): Promise<Record<string, string>> => ({
  prosody: await prosodyVersion().catch(() => 'missing: apt-get install prosody')
})

export async function run({ quick, failed }: RunOptions): Promise<Row[]> {
  return [
    ...(await rooms(quick, failed)),
    ...(await connections(quick, failed)),
    summary('messenger.catch-up', 's', [await catchUp(quick ? 50 : 10_000)])
  ]
}

/** The same room of either, where the peer is there. */
async function rooms(quick: boolean, failed: RunOptions['failed']): Promise<Row[]> {
  const size = quick ? 3 : 30
  const rounds = quick ? 1 : 2
  const singles = quick ? 5 : 8
  const many = quick ? 20 : 500
  await using opened = new AsyncDisposableStack()
  const open = async (people: number) => {
    const school = opened.use(await openSchoolRoom(people))
    const peers: Record<string, Room> = {}
    try {
      peers[PROSODY] = opened.use(await openXmppRoom(people))
    } catch (error) {
      failed(PROSODY, error as Error)
    }
    return { school, peers }
  }
  const measure = (
    { school, peers }: Awaited<ReturnType<typeof open>>,
    of: (room: Room) => Promise<number>
  ) =>
    beside(
      rounds,
      () => of(school),
      Object.fromEntries(Object.entries(peers).map(([name, room]) => [name, () => of(room)])),
      failed
    )
  /** 99th percentiles of each run, beside the medians that are given back */
  const slowest = new Map<Room, number[]>()
  const delivered = async (room: Room): Promise<number> => {
    const all: number[] = []
    for (let i = 0; i < singles; i++) all.push(...(await room.deliver(`${i} ${TEXT}`)))
    slowest.set(room, [...(slowest.get(room) ?? []), percentile(all, 99)])
    return percentile(all, 50)
  }
  const cpu = new Map<Room, { server: number[]; ends: number[] }>()
  const flood = async (room: Room): Promise<number> => {
    const server = room.serverCpu()
    const ends = room.endsCpu()
    const ms = await room.flood(many, TEXT)
    const known = cpu.get(room) ?? { server: [], ends: [] }
    cpu.set(room, known)
    known.server.push((room.serverCpu() - server) / many)
    known.ends.push((room.endsCpu() - ends) / many)
    return (many * 1000) / ms
  }

  const large = await open(size)
  // the first round warms up
  const warm = (room: Room): number[] => slowest.get(room)!.slice(1)
  const medians = await measure(large, delivered)
  const p99 = {
    artel: warm(large.school),
    peers: medians.peers.map(([name]) => [name, warm(large.peers[name]!)] as [string, number[]])
  }
  const rows = [
    ...besideRows('messenger.delivered-p50', 'ms', medians, 'messenger.delivered-p50-share'),
    ...besideRows('messenger.delivered-p99', 'ms', p99, 'messenger.delivered-p99-share'),
    ...besideRows('messenger.messages', 'messages/s', await measure(large, flood), 'messenger.messages-share')
  ]
  for (const [name, room] of [[undefined, large.school] as const, ...Object.entries(large.peers)]) {
    const { server, ends } = cpu.get(room)!
    rows.push(summary('messenger.server-cpu', 'ms', server.slice(1), name))
    rows.push(summary('messenger.ends-cpu', 'ms', ends.slice(1), name))
  }
  const mls = await encryptionMs(size, quick ? 5 : 50)
  const ends = percentile(cpu.get(large.school)!.ends.slice(1), 50)
  rows.push(summary('messenger.encryption-share', '%', [(100 * mls) / ends]))
  const two = await open(2)
  rows.push(
    ...besideRows('messenger.two-p50', 'ms', await measure(two, delivered), 'messenger.two-p50-share')
  )
  return rows
}

/** CPU ms of a message among so many: sealed once, opened by all others. */
async function encryptionMs(size: number, count: number): Promise<number> {
  const people = await Promise.all(
    Array.from({ length: size }, async (_, i) => {
      const { id, seed } = await keyOf(`device ${i}`)
      const mls = await createMls(id, seed)
      return { id, mls, keys: await mls.keyPackage() }
    })
  )
  const [author, ...others] = people as [(typeof people)[0], ...typeof people]
  const packages = new Map(others.map(({ id, keys }) => [id, keys.publicBytes]))
  const made = await author.mls.create(hashOf(Buffer.from('group')), packages)
  const sessions = await Promise.all(
    others.map(async ({ mls, keys }) => {
      const { state, ratchets } = await mls.join(made.welcome!, keys)
      return mls.session(state, ratchets)
    })
  )
  let session = author.mls.session(made.state, made.ratchets)
  const begun = process.cpuUsage()
  for (let i = 0; i < count; i++) {
    const sealed = await author.mls.seal(session, Buffer.from(TEXT))
    session = sealed.session
    for (const [at, { mls }] of others.entries())
      sessions[at] = mls.open(sessions[at]!, sealed.message).session
  }
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1000 / count
}

/** Signing in, and what a hundred who are connected cost. */
async function connections(quick: boolean, failed: RunOptions['failed']): Promise<Row[]> {
  const rounds = quick ? 1 : 3
  const count = quick ? 8 : 40
  const stage = await createStage()
  await using ended = new AsyncDisposableStack()
  ended.defer(stage.stop)
  const data = join(stage.folder, 'node')
  const flags = ['--gateway-enabled', '--gateway-port', '0', '--messenger-enabled', '--compute', 'false']
  const node = await startNode('seed', data, flags)
  stage.own(node.process)
  const { url } = JSON.parse(await readFile(join(data, 'gateway.json'), 'utf8')) as { url: string }
  const token = (await readFile(join(data, 'gateway-token'), 'utf8')).trim()
  const post = async (path: string, body: object): Promise<{ code: string }> => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body)
    })
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
    return (await response.json()) as { code: string }
  }
  await post('/roles', { name: 'chatter', scopes: ['read', 'messenger:write'] })
  for (let i = 0; i < AT_ONCE; i++) {
    const { code } = await post('/accounts', { name: `Bob ${i}`, role: 'chatter' })
    await post('/invitations/accept', { code, password: PASSWORD })
  }

  const rate = async (signIn: (i: number) => Promise<unknown>): Promise<number> => {
    const begun = performance.now()
    for (let done = 0; done < count; done += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => signIn(i)))
    return (count * 1000) / (performance.now() - begun)
  }
  const prosody = await openProsody().then(
    opened => ended.use(opened),
    (error: Error) => {
      failed(PROSODY, error)
      return undefined
    }
  )
  const enter = async () => {
    const person = await prosody!.connect('bob')
    await person.signIn()
    return person
  }
  if (prosody !== undefined) {
    const person = await prosody.connect('bob')
    await person.register()
    person.close()
  }
  const signIns = await beside(
    rounds,
    () => rate(i => post('/session', { name: `Bob ${i}`, password: PASSWORD })),
    prosody === undefined ? {} : { [PROSODY]: () => rate(async () => (await enter()).close()) },
    failed
  )
  const grown = async (pid: number, open: () => Promise<() => void>): Promise<number> => {
    // what is there once
    ;(await open())()
    const close: (() => void)[] = []
    const before = residentMb(pid).own
    for (let i = 0; i < CONNECTIONS; i++) close.push(await open())
    await delay(1_000)
    const added = residentMb(pid).own - before
    for (const each of close) each()
    return added
  }
  const rows = [
    ...besideRows('messenger.sign-ins', 'sign-ins/s', signIns, 'messenger.sign-ins-share'),
    summary('messenger.memory-100', 'MB', [
      await grown(node.process.pid!, async () => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/events`, [
          'artel.v1',
          `bearer.${token}`
        ])
        await once(socket, 'open')
        return () => socket.close()
      })
    ])
  ]
  if (prosody !== undefined)
    rows.push(
      summary(
        'messenger.memory-100',
        'MB',
        [
          await grown(prosody.pid, async () => {
            const person = await enter()
            return () => person.close()
          })
        ],
        PROSODY
      )
    )
  await end(node.process)
  return rows
}

async function catchUp(count: number): Promise<number> {
  await using room = await openSchoolRoom(2)
  return (await room.catchUp(count, TEXT)) / 1000
}
