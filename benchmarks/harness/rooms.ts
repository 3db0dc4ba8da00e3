import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openProsody } from '../peers/xmpp.ts'
import { cpuBetween, cpuTimes, end } from './process.ts'
import type { Works } from './school-nodes.ts'

const NODES = join(import.meta.dirname, 'school-nodes.ts')
const AT_ONCE = 500
/** people whose nodes share a process, as few as the memory of a machine allows */
const IN_ONE = 10
const WAIT_MS = 300_000
const POLL_MS = 100

/** People in one room; the server or mailbox is a process of its own. */
export interface Room extends AsyncDisposable {
  /** ms until each of the others has what the first says */
  deliver(text: string): Promise<number[]>
  /** ms until everybody has as many texts, said by the first as fast as he can */
  flood(count: number, text: string): Promise<number>
  /** CPU ms of the server or mailbox so far */
  serverCpu(): number
  /** CPU ms of all people so far */
  endsCpu(): number
}

const clock = (): number => Number(process.hrtime.bigint()) / 1e6
const cpuOf = (child: { pid?: number | undefined }): number => cpuBetween(new Map(), cpuTimes(child.pid!))
const numbered = (count: number, text: string): string[] =>
  Array.from({ length: count }, (_, i) => `${i} ${text}`)

/** A process of nodes, and how it is asked. */
async function startNodes(started: AsyncDisposableStack) {
  const child = started.adopt(fork(NODES), end)
  const asked = new Map<number, PromiseWithResolvers<unknown>>()
  child.on('message', ({ id, result, error }: { id: number; result: unknown; error?: string }) => {
    if (error === undefined) asked.get(id)?.resolve(result)
    else asked.get(id)?.reject(new Error(error))
    asked.delete(id)
  })
  child.on('exit', code => {
    for (const { reject } of asked.values()) reject(new Error(`a process of nodes ended with ${code}`))
  })
  await once(child, 'message')
  let last = 0
  async function ask<K extends keyof Works>(
    work: K,
    ...[input]: Parameters<Works[K]>
  ): Promise<Awaited<ReturnType<Works[K]>>> {
    const answer = Promise.withResolvers<unknown>()
    const id = ++last
    asked.set(id, answer)
    const timer = setTimeout(() => answer.reject(new Error(`waited ${WAIT_MS} ms in vain: ${work}`)), WAIT_MS)
    child.send({ id, work, input })
    try {
      return (await answer.promise) as Awaited<ReturnType<Works[K]>>
    } finally {
      clearTimeout(timer)
    }
  }
  return { child, ask }
}

/** The messenger: a node that founds a school and keeps its mail, and one node for each person. */
export async function openSchoolRoom(size: number) {
  await using started = new AsyncDisposableStack()
  const root = await mkdtemp(join(tmpdir(), 'artel-bench-'))
  started.defer(() => rm(root, { recursive: true, force: true }))
  const mailbox = await startNodes(started)
  const seeds = await mailbox.ask('start', { name: 'desk', folder: join(root, 'desk'), seeds: [] })
  const atDesk = (operation: string, input: object) => mailbox.ask('call', { name: 'desk', operation, input })
  await atDesk('found', { name: 'School', me: 'Admin' })
  // one says as many as he can, which no school lets him
  await atDesk('setPolicy', { messagesPerMinute: 1_000_000 })
  const names = Array.from({ length: size }, (_, i) => `p${i}`)
  const path = join(root, 'people.csv')
  await writeFile(path, ['login;name;role', ...names.map(name => `${name};${name};teacher`)].join('\n'))
  const { invitations } = (await atDesk('importUsers', { path, apply: true })) as {
    invitations: { code: string }[]
  }

  const ends: Awaited<ReturnType<typeof startNodes>>[] = []
  const start = (name: string): Promise<unknown> =>
    endOf(name).ask('start', { name, folder: join(root, name), seeds })
  const endOf = (name: string) => ends[Math.floor(names.indexOf(name) / IN_ONE)]!
  for (let at = 0; at < size; at += IN_ONE) ends.push(await startNodes(started))
  for (const [i, name] of names.entries()) {
    await start(name)
    await endOf(name).ask('call', { name, operation: 'join', input: { code: invitations[i]!.code } })
  }
  const [first, last] = [names[0]!, names.at(-1)!]
  /** Whether the first knows of everybody's node: else some would be added later, who read nothing of what was said before. */
  async function knowsAll(): Promise<boolean> {
    const { items } = (await ends[0]!.ask('call', { name: first, operation: 'users', input: {} })) as {
      items: { id: string; devices: unknown[] }[]
    }
    return names.every(name => items.some(({ id, devices }) => id === name && devices.length > 0))
  }
  async function begin(): Promise<string> {
    const input = { users: names, title: 'room' }
    for (const endAt = clock() + WAIT_MS; ; await delay(POLL_MS)) {
      if (clock() < endAt && !(await knowsAll())) continue
      try {
        const made = await ends[0]!.ask('call', { name: first, operation: 'createGroup', input })
        return (made as { id: string }).id
      } catch (error) {
        // not everybody's keys are at the mailbox yet
        if (!(error as Error).message.includes('key package') || clock() > endAt) throw error
      }
    }
  }
  const group = await begin()
  for (const each of ends) await each.ask('areIn')
  const say = (texts: string[]): Promise<string> => ends[0]!.ask('say', { name: first, group, texts })
  const has = async (message: string): Promise<number> =>
    Math.max(...(await Promise.all(ends.map(each => each.ask('has', { group, message })))))
  const parts = started.move()

  return {
    async deliver(text: string): Promise<number[]> {
      for (const each of ends) await each.ask('listen')
      const begun = clock()
      const message = await say([text])
      const heard = await Promise.all(ends.map(each => each.ask('heard', { group, message, but: first })))
      return heard.flat().map(at => at - begun)
    },
    async flood(count: number, text: string): Promise<number> {
      const begun = clock()
      return (await has(await say(numbered(count, text)))) - begun
    },
    /** ms until who was away, and runs again, has as many texts that were said meanwhile */
    async catchUp(count: number, text: string): Promise<number> {
      await endOf(last).ask('stop', { name: last })
      let message = ''
      // as many at once as a person's program would have under way
      for (let at = 0; at < count; at += AT_ONCE)
        message = await say(numbered(Math.min(AT_ONCE, count - at), text))
      await has(message)
      await start(last)
      const begun = clock()
      return (await has(message)) - begun
    },
    serverCpu: () => cpuOf(mailbox.child),
    endsCpu: () => ends.reduce((sum, { child }) => sum + cpuOf(child), 0),
    [Symbol.asyncDispose]: () => parts.disposeAsync()
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
    flood: async (count, text) => Math.max(...(await say(numbered(count, text)))),
    serverCpu: () => cpuOf(prosody),
    endsCpu() {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync()
  }
}
