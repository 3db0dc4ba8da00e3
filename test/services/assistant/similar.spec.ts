import { equal, notEqual, ok } from 'node:assert/strict'
import { answerTo, openProvider } from '../../../node/demo/provider.ts'
import { alikeOf, cosine } from '../../../services/assistant/core/alike.ts'
import { createSimilar } from '../../../services/assistant/similar.ts'
import { assistant, type Bytes, OWNER } from '../../../services/index.ts'
import { until } from '../../bootstrap/nodes.ts'
import { startHost } from '../host/start-host.ts'

const KEY = 'sk-similar'
const user = (content: unknown) => ({ role: 'user', content })
const same = (content: string, more: object = {}, before: object[] = []): string | undefined =>
  alikeOf({ model: 'm', temperature: 0, messages: [...before, user(content)], ...more })?.same

describe('assistant: questions that say the same', function () {
  this.timeout(600_000)
  const question = 'What is the capital of France?'

  it('differ in little words, case and marks alone', () => {
    for (const other of [
      'what is a capital of france',
      'Please: what capital of France',
      'WHAT IS CAPITAL OF FRANCE?!'
    ])
      equal(same(other), same(question), other)
    for (const other of [
      'What is not the capital of France?',
      'What was the capital of France?',
      'What is the capital of Spain?',
      'France is what of the capital?',
      'What is the capital of France in 1940?'
    ])
      notEqual(same(other), same(question), other)
    for (const [one, other] of [
      ['Can I?', "Can't I?"],
      ['Write C', 'Write C++'],
      ['3.14 of it', '3.15 of it'],
      ['-5 degrees', '5 degrees'],
      ['Поезда до Твери', 'Поезда не до Твери'],
      ['the dog bites a man', 'a man bites the dog']
    ] as const)
      notEqual(same(one), same(other), other)
    equal(same('I can’t'), same("I can't"))
  })

  it('have one system prompt and the same parameters, and are of one turn of text', () => {
    const system = (content: string) => [{ role: 'system', content }]
    ok(same(question, {}, system('Be brief')) != null)
    notEqual(same(question, {}, system('Be brief')), same(question, {}, system('Be long')))
    for (const more of [{ model: 'other' }, { temperature: 0.1 }, { max_tokens: 5 }, { unknown: 1 }])
      notEqual(same(question, more), same(question))
    equal(same(question, {}, [user('Hello'), { role: 'assistant', content: 'Hello' }]), undefined)
    equal(same('?!'), undefined)
    for (const messages of [
      undefined,
      [],
      [user([{ type: 'text', text: 'x' }])],
      [{ role: 'assistant', content: 'x' }],
      [null]
    ])
      equal(alikeOf({ messages }), undefined)
  })

  it('are as near as their vectors', async () => {
    const vectors = new Map([
      ['What is it?', [1, 0]],
      ['what is IT', [0.96, Math.sqrt(1 - 0.96 ** 2)]],
      ['What it', [0.94, Math.sqrt(1 - 0.94 ** 2)]]
    ])
    const similar = createSimilar(
      () => true,
      async (_, text) => vectors.get(text)
    )
    const place = async (content: string) =>
      (await similar.place('u', Buffer.alloc(32, 1), { messages: [user(content)] }))!
    const key = Buffer.from('kept')
    similar.remember(await place('What is it?'), key)
    equal(similar.find(await place('what is IT')), key)
    equal(similar.find(await place('What it')), undefined)
    // of another namespace nothing is found
    const other = await similar.place('v', Buffer.alloc(32, 2), { messages: [user('What is it?')] })
    equal(similar.find(other!), undefined)
    equal(await similar.place('u', Buffer.alloc(32, 1), { messages: [user('it has no vector')] }), undefined)
    equal(cosine([3, 4], [6, 8]), 1)
    equal(cosine([0, 0], [1, 1]), 0)
  })

  it('have one answer where the owner wants it, and it is marked', async () => {
    await using provider = await openProvider(KEY)
    await using host = await startHost({
      modules: [assistant],
      settings: { assistant: { similarModel: 'near', quotaCredits: 10 } }
    })
    await until(() => host.services.health()[0]!.state === 'running', 'it runs')
    const call = <T>(operation: string, input: object, body?: object): Promise<T> =>
      host.services.call('assistant', operation, input, {
        caller: OWNER,
        ...(body == null ? {} : { body: [Buffer.from(JSON.stringify(body))] as never })
      }) as Promise<T>
    await call('secret', { name: 'key', value: KEY })
    const models = [{ id: 'm' }, { id: 'near', use: 'embeddings' }]
    await call('put', { name: 'p', provider: { kind: 'openai', url: provider.url, secret: 'key', models } })
    const ask = async (content: string, more: object = {}) => {
      const body = { model: 'm', temperature: 0, messages: [user(content)], ...more }
      const { whole, headers } = await call<Bytes>('chat', {}, body)
      const { choices } = JSON.parse(Buffer.from(whole!).toString())
      return [headers!['artel-cache'], headers!['artel-cost'], choices[0].message.content]
    }
    const answer = answerTo(question)
    const asked = async (content: string, more?: object) => (await ask(content, more)).join(' ')
    equal(await asked(question), `miss 0 ${answer}`)
    equal(await asked(question), `hit 0 ${answer}`)
    equal(await asked('what is capital of france'), `similar 0 ${answer}`)
    const other = 'What is the capital of Spain?'
    equal(await asked(other), `miss 0 ${answerTo(other)}`)
    // where it may not be kept it is not looked for
    equal(
      await asked('what is a capital of france', { temperature: 1 }),
      `off 0 ${answerTo('what is a capital of france')}`
    )
  })
})
