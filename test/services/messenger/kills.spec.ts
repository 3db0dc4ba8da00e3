import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from '../../simulation/random.ts'
import { until } from './school.ts'

const NODE = join(import.meta.dirname, 'node-process.ts')
/** 300 for the long run */
const KILLS = Number(process.env.MESSENGER_KILLS ?? 3)
const NAMES = ['desk', 'ann', 'bob'] as const
type Name = (typeof NAMES)[number]

/** Nodes in processes that are killed as a power cut ends them, and started again. */
function openProcesses(root: string) {
  const running = new Map<Name, { child: ChildProcess; addresses: string[] }>()
  const asked = new Map<number, PromiseWithResolvers<any>>()
  let last = 0
  async function call(name: Name, operation: string, input: unknown = {}): Promise<any> {
    const id = ++last
    const answer = Promise.withResolvers<any>()
    asked.set(id, answer)
    const { child } = running.get(name)!
    const onExit = (): void => answer.reject(new Error(`${name} was killed`))
    child.once('exit', onExit)
    child.send({ id, operation, input })
    try {
      return await answer.promise
    } finally {
      child.off('exit', onExit)
    }
  }
  return {
    call,
    async start(name: Name): Promise<void> {
      const child = fork(NODE, [join(root, name)], { serialization: 'advanced' })
      child.on('message', ({ id, result, error }: any) => {
        if (error == null) asked.get(id)?.resolve(result)
        else asked.get(id)?.reject(new Error(error))
      })
      const [{ result: addresses }] = (await once(child, 'message')) as [{ result: string[] }]
      running.set(name, { child, addresses })
      for (const [other, { addresses: theirs }] of running)
        if (other !== name)
          await until(`${name} reaches ${other}`, () =>
            call(name, 'dial', theirs).then(
              () => true,
              // a machine that does other things is too slow for a handshake
              () => false
            )
          )
    },
    async kill(name: Name): Promise<void> {
      const { child } = running.get(name)!
      running.delete(name)
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
    isRunning: (name: Name): boolean => running.has(name),
    async [Symbol.asyncDispose](): Promise<void> {
      for (const { child } of running.values()) child.kill('SIGKILL')
      running.clear()
      await rm(root, { recursive: true, force: true })
    }
  }
}

describe('messenger: kill −9', function () {
  this.timeout(600_000 + KILLS * 10_000)

  it(`of sender, mailbox and receiver, ${KILLS} times: what was acknowledged is at every member, once`, async () => {
    const root = await mkdtemp(join(tmpdir(), 'artel-messenger-'))
    await using nodes = openProcesses(root)
    const { call, start, kill } = nodes
    await start('desk')
    await call('desk', 'found', { name: 'School 7', me: 'Admin' })
    // they write faster than people
    await call('desk', 'setPolicy', { messagesPerMinute: 1_000_000 })
    for (const name of ['ann', 'bob'] as const) {
      const { invitation } = await call('desk', 'addUser', { user: name, name, role: 'teacher' })
      await start(name)
      await call(name, 'join', { code: invitation.code })
    }
    let group = ''
    await until('the chat is begun', async () => {
      try {
        ;({ id: group } = await call('ann', 'createGroup', { users: ['bob'] }))
        return true
      } catch (error) {
        if (/key package|UnknownChatError/.test((error as Error).message)) return false
        throw error
      }
    })
    await until('bob is in', async () =>
      (await call('bob', 'groups')).items.some((each: any) => each.id === group && each.isIn)
    )

    const random = createRandom(Number(process.env.MESSENGER_SEED ?? 1))
    const acknowledged: string[] = []
    let isOver = false
    async function write(name: 'ann' | 'bob'): Promise<void> {
      for (let i = 0; !isOver; i++) {
        await delay(random() * 10)
        const text = `${name} ${i}`
        // who had no answer writes again under the same key
        for (let isSaid = false; !isSaid && !isOver; ) {
          if (!nodes.isRunning(name)) {
            await delay(20)
            continue
          }
          isSaid = await call(name, 'send', { group, text, key: text }).then(
            () => true,
            ({ message }: Error) => {
              assert.match(message, /was killed/)
              return false
            }
          )
          if (isSaid) acknowledged.push(text)
        }
      }
    }
    const writing = Promise.all([write('ann'), write('bob')])
    for (let i = 0; i < KILLS; i++) {
      await delay(random() * 300)
      const name = NAMES[Math.floor(random() * NAMES.length)]!
      await kill(name)
      await start(name)
    }
    isOver = true
    await writing

    const textsOf = async (name: Name): Promise<string[]> => {
      const all: any[] = []
      for (;;) {
        const oldest = all.at(-1)
        const before = oldest == null ? {} : { beforeAt: oldest.at, beforeId: oldest.id }
        const { items } = await call(name, 'messages', { group, limit: 100, ...before })
        all.push(...items)
        if (items.length < 100) break
      }
      return all.flatMap(({ text }) => text ?? [])
    }
    await until('both have all', async () => {
      const [left, right] = [await textsOf('ann'), await textsOf('bob')]
      return left.join() === right.join() && new Set(left).isSupersetOf(new Set(acknowledged))
    })
    const texts = await textsOf('ann')
    assert.equal(new Set(texts).size, texts.length, 'each once')
    assert.ok(acknowledged.length > 0)
    // a key that was used twice would leave an envelope that nobody can read
    for (const name of ['ann', 'bob'] as const) assert.equal(await call(name, 'unread'), 0, name)
  })
})
