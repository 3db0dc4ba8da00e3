import { deepEqual, equal, ok } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdentity } from '../../../bootstrap/index.ts'
import { answerTo, openProvider } from '../../../node/demo/provider.ts'
import { assistant, messenger, OWNER } from '../../../services/index.ts'
import { createMentions } from '../../../services/messenger/device/mentions.ts'
import { withoutMention } from '../../../services/messenger/device/named.ts'
import { until } from '../../bootstrap/nodes.ts'
import { createTestDirectory, startHost } from '../host/start-host.ts'
import { startNode, textsOf, whenKnown } from '../messenger/school.ts'

const KEY = 'sk-school'

describe('assistant: the bot in the messenger', function () {
  this.timeout(600_000)

  it('is named by its login or its name, and by no longer one', () => {
    const names = ['helper', 'Helping Hand', 'Helping Hand Jr.']
    const asked = (text: string) => withoutMention(text, names)
    equal(asked('@helper what is this?'), 'what is this?')
    equal(asked('tell us, @Helper: why?\nNow'), 'tell us, why?\nNow')
    equal(asked('@HELPING HAND, hello'), 'hello')
    equal(asked('hello @helping hand jr.'), 'hello')
    equal(asked('so says @helper.'), 'so says .')
    equal(asked('@helper'), '')
    for (const text of [
      'helper',
      'mail@helper',
      'x.@helper',
      '@helpers',
      '@helper.two',
      '@helper@x',
      '@ helper'
    ])
      equal(asked(text), undefined, text)
    equal(withoutMention('@a+b (c) yes', ['a+b (c)']), 'yes')
  })

  it('is named by other people who are in the school, and never by another device of its own', () => {
    const people = { d1: { id: 'helper', name: 'Helper' }, d2: { id: 'ann', name: 'Ann' } }
    const said = [
      ['own', 'd1'],
      ['other', 'd2'],
      ['removed', 'd3']
    ] as const
    const store = {
      placeBefore: () => 0,
      saidAfter: () => said.map(([id], i) => ({ n: i + 1, id })),
      event: (id: string) => ({
        grp: 'g',
        event: {
          kind: 'text',
          timeMs: 7,
          device: said.find(each => each[0] === id)![1],
          body: { text: `@helper ${id}` }
        }
      })
    }
    const person = (device: string) => (people as Record<string, object>)[device]
    const school = { roster: { person } }
    const { mentions } = createMentions(store as never, school as never, 'd1', {
      hiddenIn: () => () => undefined
    })
    deepEqual(mentions(0, 0), {
      items: [{ place: 2, id: 'other', chat: 'g', at: 7, by: people.d2, text: 'other' }],
      next: 3
    })
    deepEqual(mentions(0, 8), { items: [], next: 3 })
  })

  it('answers who names it, each on a quota of his own, and is told nothing else', async () => {
    await using provider = await openProvider(KEY)
    await using started = new AsyncDisposableStack()
    const directory = createTestDirectory()
    const folder = await mkdtemp(join(tmpdir(), 'artel-own-messenger-'))
    started.defer(() => rm(folder, { recursive: true, force: true }))
    const identity = await createIdentity()
    let school: Awaited<ReturnType<typeof startHost>>
    const call = <T = unknown>(service: string, operation: string, input: object = {}) =>
      school.services.call(service, operation, input, { caller: OWNER }) as Promise<T>
    async function start(): Promise<void> {
      school = started.use(
        await startHost({
          modules: [messenger, assistant],
          directory,
          folder,
          identity,
          settings: { assistant: { botMessenger: true, botModel: 'm', quotaCredits: 1 } }
        })
      )
      const isRunning = () => school.services.health().every(({ state }) => state === 'running')
      await until(isRunning, 'both run')
      await call('assistant', 'secret', { name: 'key', value: KEY })
      const models = [
        { id: 'm', inputPerMillion: '1000000', outputPerMillion: '1000000', maxOutputTokens: 100 }
      ]
      await call('assistant', 'put', {
        name: 'p',
        provider: { kind: 'openai', url: provider.url, secret: 'key', models }
      })
    }
    await start()
    await call('messenger', 'found', { name: 'School 7', me: 'Helping Hand', login: 'helper' })

    const added = { user: 'ann', name: 'Ann', role: 'teacher' }
    const { invitation } = await call<{ invitation: { code: string } }>('messenger', 'addUser', added)
    const ann = started.use(await startNode(directory))
    await ann.connect(school!)
    await ann.call('join', { code: invitation.code })
    const { id: group } = await whenKnown(ann, 'createGroup', { title: '7b', users: ['helper'] })
    const say = (text: string) => ann.call('send', { group, text })
    const isThere = (what: string) =>
      until(async () => (await textsOf(ann, group)).some(text => text.includes(what)), `"${what}"`)

    await say('The secret is canary-5511')
    await say('@helper what is for lunch?')
    await isThere(answerTo('what is for lunch?'))
    equal(provider.calls, 1)
    ok(!JSON.stringify(provider.bodies).includes('canary-5511'))

    // who asks has a quota of his own
    interface User {
      id: string
      name: string
      spent: bigint
    }
    const { items } = await call<{ items: User[] }>('assistant', 'users')
    deepEqual(
      items.map(({ id, name }) => [id, name]),
      [['messenger-ann', 'Ann']]
    )
    const [{ spent }] = items as [User]
    ok(spent > 0n)
    await call('assistant', 'quota', { id: 'messenger-ann', credits: String(spent) })
    await say('@Helping Hand and for supper?')
    await isThere('left of your quota')
    await call('assistant', 'quota', { id: 'messenger-ann' })
    await say('@helper and tomorrow?')
    await isThere(answerTo('and tomorrow?'))
    equal(provider.calls, 2)

    // the assistant comes from a backup of before all this, or from none
    const before = await textsOf(ann, group)
    await school![Symbol.asyncDispose]()
    await rm(join(folder, 'services', 'assistant', 'assistant.sqlite'))
    await start()
    await ann.connect(school!)
    await say('@helper and on Friday?')
    await isThere(answerTo('and on Friday?'))
    deepEqual((await textsOf(ann, group)).slice(0, before.length + 1), [...before, '@helper and on Friday?'])
    equal(provider.calls, 3)
  })
})
