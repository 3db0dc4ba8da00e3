import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { DEFAULT_DEADLINE_MS, ForbiddenError, UnreachableError } from '../../../services/host/index.ts'
import { createCarrier } from '../../../services/messenger/home/carry.ts'
import { fromParts, inParts } from '../../../services/messenger/home/parts.ts'
import { createHome } from '../../../services/messenger/home/serve-person.ts'
import { ASKS_AT_ONCE, messages, PART_BYTES } from '../../../services/messenger/messages.ts'

const TOKEN = 'a token'

describe('messenger: what a home and the node of a visitor hold of each other', () => {
  async function* of<T>(...items: T[]): AsyncGenerator<T> {
    yield* items
  }

  it('an input that was held back until the session or the place in the school was over does nothing', async () => {
    for (const over of ['session', 'place']) {
      const gone = new Set<string>()
      const said: unknown[] = []
      const grant = {
        id: 's1',
        scopes: ['messenger:write'],
        account: { id: '1', name: 'bob', role: 'pupil' }
      }
      const home = createHome({
        isOpen: () => true,
        people: () => ({ find: () => (gone.has('session') ? undefined : grant) }) as never,
        isOf: () => true,
        operations: () => ({ send: (input: unknown) => ({ id: said.push(input) }) }) as never,
        follow: undefined as never,
        signal: new AbortController().signal
      })
      const admit = (): void => {
        if (gone.has('place')) throw Object.assign(new Error(), { name: 'ForbiddenError' })
      }
      const input = { group: '0'.repeat(64), text: 'late' }
      const send = (received: AsyncIterable<Uint8Array>) =>
        home.ask(
          { token: TOKEN, operation: 'send' },
          { peer: 'desk', signal: new AbortController().signal, received, send: async () => undefined },
          admit
        )
      await send(of(...inParts(JSON.stringify(input))))
      assert.equal(said.length, 1)
      async function* heldBack(): AsyncGenerator<Uint8Array> {
        gone.add(over)
        yield* inParts(JSON.stringify(input))
      }
      const name = over === 'session' ? 'UnauthorizedError' : 'ForbiddenError'
      await assert.rejects(send(heldBack()), { name }, over)
      assert.equal(said.length, 1, over)
    }
  })

  it('parts are as large as they may be, and no more than that takes', async () => {
    const text = JSON.stringify('x'.repeat(2 * PART_BYTES))
    assert.equal(await fromParts(of(...inParts(text)), text.length), JSON.parse(text))
    await assert.rejects(fromParts(of(...inParts(text)), text.length - 1), { name: 'RequestError' })
    let taken = 0
    async function* crumbs(): AsyncGenerator<Uint8Array> {
      for (; taken < PART_BYTES; taken++) yield Buffer.from(' ')
    }
    await assert.rejects(fromParts(crumbs(), 10 * PART_BYTES), { name: 'RequestError' })
    assert.ok(taken <= 11, String(taken))
  })

  it('a home tells pages of the messenger and of nothing else', () => {
    const { items } = messages.watch
    for (const type of ['here', 'messenger:chat']) assert.ok(items.safeParse({ type }).success, type)
    for (const type of ['peers', 'balance', 'tv:state', 'messenger:', 'not here'])
      assert.ok(!items.safeParse({ type, value: {} }).success, type)
  })

  it('all pictures of a chat that a page asks for at once come, in turn', async () => {
    let under = 0
    let most = 0
    const network = {
      open() {
        most = Math.max(most, ++under)
        async function* items(): AsyncGenerator<Uint8Array> {
          await new Promise(setImmediate)
          under--
          yield* inParts(JSON.stringify({ items: [] }))
        }
        return { items: items(), answer: Promise.resolve({}), send: async () => {}, end: async () => {} }
      }
    }
    const roster = { school: new Uint8Array(32), devices: () => [] }
    const carrier = createCarrier({ known: () => roster } as never, network as never)
    const { signal } = new AbortController()
    const ask = () => carrier.ask({ peer: 'home', token: TOKEN }, 'groups', {}, { signal })
    const answers = await Promise.all(Array.from({ length: 40 }, ask))
    assert.deepEqual(answers, Array(40).fill({ items: [] }))
    assert.equal(most, ASKS_AT_ONCE)
    await assert.rejects(Promise.all(Array.from({ length: 100 }, ask)), { name: 'TooManyMessagesError' })
  })

  it('a home that answers nothing is named to all who wait for it, also to those whose turn did not come', async () => {
    const network = {
      open() {
        async function* items(): AsyncGenerator<Uint8Array> {
          await new Promise(() => {})
        }
        return { items: items(), answer: new Promise(() => {}), send: async () => {}, end: async () => {} }
      }
    }
    const roster = { school: new Uint8Array(32), devices: () => [{ peer: 'home', name: 'desk' }] }
    const carrier = createCarrier({ known: () => roster } as never, network as never)
    const { signal } = new AbortController()
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const asked = Array.from({ length: ASKS_AT_ONCE + 1 }, () =>
        carrier.ask({ peer: 'home', token: TOKEN }, 'groups', {}, { signal })
      )
      const told = Promise.all(
        asked.map(each => assert.rejects(each, { name: 'UnreachableError', message: /desk/ }))
      )
      mock.timers.tick(DEFAULT_DEADLINE_MS)
      await told
    } finally {
      mock.timers.reset()
    }
  })

  it('a class that signs in at once at one home has its turns there, and one that says no is no home that is away', async () => {
    let under = 0
    let most = 0
    const network = {
      async ask(peer: string, kind: string) {
        if (kind === 'news') {
          if (peer === 'off') throw new UnreachableError('off')
          throw new ForbiddenError('not now')
        }
        most = Math.max(most, ++under)
        await new Promise(setImmediate)
        under--
        return { token: TOKEN }
      }
    }
    const roster = { school: new Uint8Array(32), devices: () => [] }
    const { homes } = createCarrier({ known: () => roster } as never, network as never)
    const signIn = () => homes.signIn({ name: 'bob', password: 'x', agent: '' }, 'home')
    const entered = await Promise.all(Array.from({ length: 60 }, signIn))
    assert.equal(entered.length, 60)
    assert.ok(most <= messages.signIn.atOnce, String(most))
    assert.deepEqual(await homes.answering(['home', 'off']), ['home'])
  })
})
