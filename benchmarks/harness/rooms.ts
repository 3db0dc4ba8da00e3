import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { messenger, OWNER } from '../../services/index.ts'
import { createTestDirectory, startHost, type TestHostInit } from '../../test/services/host/start-host.ts'
import { openProsody } from '../peers/xmpp.ts'
import { cpuBetween, cpuTimes, end } from './process.ts'

const MAILBOX = join(import.meta.dirname, 'mailbox.ts')
const WAIT_MS = 300_000
const POLL_MS = 10

/** People in one room; all of them are in this process, the server or mailbox is another. */
export interface Room extends AsyncDisposable {
  /** ms until each of the others has what the first says */
  deliver(text: string): Promise<number[]>
  /** ms until everybody has as many texts, said by the first as fast as he can */
  flood(count: number, text: string): Promise<number>
  /** CPU ms of the server or mailbox so far */
  serverCpu(): number
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endAt = performance.now() + WAIT_MS
  while (!(await holds())) {
    if (performance.now() > endAt) throw new Error(`waited ${WAIT_MS} ms in vain: ${what}`)
    await delay(POLL_MS)
  }
}

const cpuOf = (child: { pid?: number | undefined }): number => cpuBetween(new Map(), cpuTimes(child.pid!))

/** The messenger: a node that founds a school and keeps its mail, and one node for each person. */
export async function openSchoolRoom(size: number) {
  await using started = new AsyncDisposableStack()
  const root = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(root, { recursive: true, force: true }))
  const mailbox = started.adopt(fork(MAILBOX), end)
  const [{ ready }] = (await once(mailbox, 'message')) as [{ ready: string[] }]
  const ask = asks(mailbox)
  await ask('found', { name: 'School', me: 'Admin' })
  const ids = Array.from({ length: size }, (_, i) => `p${i}`)
  const path = join(root, 'people.csv')
  await writeFile(path, ['login;name;role', ...ids.map(id => `${id};${id};teacher`)].join('\n'))
  const { invitations } = await ask<{ invitations: { code: string }[] }>('importUsers', { path, apply: true })

  const directory = createTestDirectory()
  const start = async (id: string, identity?: TestHostInit['identity']): Promise<Host> => {
    const init = { modules: [messenger], directory, folder: join(root, id) }
    const host = await startHost(identity == null ? init : { ...init, identity })
    await until('a node runs', () => host.services.health().every(({ state }) => state === 'running'))
    // a node takes so many connections a second and no more
    await until('the mailbox takes a connection', () =>
      host.libp2p.dial(ready.map(address => multiaddr(address))).then(
        () => true,
        () => false
      )
    )
    return host
  }
  const hosts: Host[] = []
  started.defer(async () => {
    await Promise.all(hosts.map(host => host[Symbol.asyncDispose]()))
  })
  for (const [i, { code }] of invitations.entries()) {
    const host = await start(ids[i]!)
    hosts.push(host)
    await call(host, 'join', { code })
  }
  const [first, ...others] = hosts as [Host, ...Host[]]
  let group = ''
  await until('the chat is begun', async () => {
    try {
      ;({ id: group } = await call<{ id: string }>(first, 'createGroup', { users: ids, title: 'room' }))
      return true
    } catch (error) {
      // not everybody's keys are at the mailbox yet
      if ((error as Error).message.includes('key package')) return false
      throw error
    }
  })
  for (const host of hosts)
    await until('everybody is in the chat', async () =>
      (await call<{ items: { isIn: boolean }[] }>(host, 'groups')).items.some(({ isIn }) => isIn)
    )
  const newest = async (host: Host): Promise<string | undefined> =>
    (await call<{ items: { id: string }[] }>(host, 'messages', { group, limit: 1 })).items[0]?.id
  const say = (text: string): Promise<{ id: string }> => call(first, 'send', { group, text })
  async function sayAll(count: number, text: string): Promise<string> {
    let last = ''
    for (let i = 0; i < count; i++) ({ id: last } = await say(`${i} ${text}`))
    return last
  }
  const has = (host: Host, id: string): Promise<void> =>
    until('everybody has all', async () => (await newest(host)) === id)
  const parts = started.move()

  return {
    async deliver(text: string): Promise<number[]> {
      const heard = new Map<Host, number>()
      const listeners = others.map(host => {
        const listener = ({ detail: { type } }: { detail: { type: string } }): void => {
          if (type === 'messenger:chat' && !heard.has(host)) heard.set(host, performance.now())
        }
        host.services.addEventListener('tell', listener)
        return () => host.services.removeEventListener('tell', listener)
      })
      try {
        const begun = performance.now()
        const { id } = await say(text)
        for (const host of others) await has(host, id)
        return [...heard.values()].map(at => at - begun)
      } finally {
        for (const stop of listeners) stop()
      }
    },
    async flood(count: number, text: string): Promise<number> {
      const begun = performance.now()
      const last = await sayAll(count, text)
      for (const host of others) await has(host, last)
      return performance.now() - begun
    },
    /** ms until who was away, and runs again, has as many texts that were said meanwhile */
    async catchUp(count: number, text: string): Promise<number> {
      const away = hosts.pop()!
      await away[Symbol.asyncDispose]()
      const last = await sayAll(count, text)
      for (const host of hosts) await has(host, last)
      const back = await start(ids.at(-1)!, away.identity)
      hosts.push(back)
      const begun = performance.now()
      await has(back, last)
      return performance.now() - begun
    },
    serverCpu: () => cpuOf(mailbox),
    [Symbol.asyncDispose]: () => parts.disposeAsync()
  }
}

type Host = Awaited<ReturnType<typeof startHost>>
const call = <T>(host: Host, operation: string, input: object = {}): Promise<T> =>
  host.services.call('messenger', operation, input as never, { caller: OWNER }) as Promise<T>

function asks(child: ChildProcess) {
  let last = 0
  return async <T = unknown>(operation: string, input: object): Promise<T> => {
    const id = ++last
    child.send({ id, operation, input })
    for (;;) {
      const [message] = (await once(child, 'message')) as [{ id: number; result: T; error?: string }]
      if (message.id !== id) continue
      if (message.error !== undefined) throw new Error(message.error)
      return message.result
    }
  }
}

/** Prosody: a room of its own, one connection for each person. */
export async function openXmppRoom(size: number): Promise<Room> {
  await using started = new AsyncDisposableStack()
  const prosody = started.use(await openProsody())
  const people = []
  for (let i = 0; i < size; i++) {
    const person = await prosody.connect(`p${i}`)
    started.defer(() => person.close())
    await person.register()
    await person.signIn()
    await person.enter()
    people.push(person)
  }
  const [first, ...others] = people
  const parts = started.move()
  /** When each of the others had it. */
  async function say(texts: string[]): Promise<number[]> {
    const last = texts.at(-1)!
    const begun = performance.now()
    const all = others.map(person => {
      const { promise, resolve } = Promise.withResolvers<number>()
      let count = 0
      person.heard = body => {
        if (++count === texts.length && body === last) resolve(performance.now() - begun)
      }
      return promise
    })
    for (const text of texts) first!.say(text)
    return Promise.all(all)
  }
  return {
    deliver: text => say([text]),
    flood: async (count, text) =>
      Math.max(...(await say(Array.from({ length: count }, (_, i) => `${i} ${text}`)))),
    serverCpu: () => cpuOf(prosody),
    [Symbol.asyncDispose]: () => parts.disposeAsync()
  }
}
