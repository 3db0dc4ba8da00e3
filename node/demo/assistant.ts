import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'
import { ask, MAX_TOKENS, MODEL, type Person, PRICE } from './assistant-people.ts'
import type { Demo } from './contract.ts'
import { answerTo, type Fault, openProvider } from './provider.ts'
import { type DemoNode, until } from './stage.ts'
import { createSteps } from './steps.ts'
import { openTelegram } from './telegram.ts'

const PEOPLE = 50
const REPEATS = 0.35
/** ms between two questions of a person */
const PAUSE_MS = 2000
const PIECE_MS = 10
const KEY = 'sk-demo-canary-51c2'
const BOT_TOKEN = '1234:demo-bot-canary'
const BOT_MS = 120_000
const CHATS = 10
const EMBEDDER = 'artel-n-grams'
const STRANGER = 666
const MAX_MB = 1000
const MAX_MB_PER_PERSON = 20

interface Account {
  id: string
  spent: string
  held: string
}

/** Fifty people and a provider that fails in every way, through OpenAI's own client. */
export const assistant: Demo = {
  summary:
    'fifty people and a bot ask through one door, a third of it again: fewer calls, nobody sees another one’s answers, quotas hold to the micro-credit, whatever the provider does',
  flags: { seconds: '30' },
  async run(stage, { seconds }) {
    await using provider = await openProvider(KEY)
    await using telegram = await openTelegram(BOT_TOKEN)
    const { step, played } = createSteps(stage.say)
    const begin = async (): Promise<DemoNode> =>
      stage.start('node', [
        'seed',
        ...['--gateway-enabled', '--gateway-port', '0', '--assistant-enabled', '--compute', 'false'],
        ...['--assistant-quota-credits', '100', '--assistant-bot-secret', 'bot'],
        ...['--assistant-bot-model', MODEL, '--assistant-bot-url', telegram.url]
      ])
    let node = await begin()
    let http = await openHttp(node.folder)
    const memoryAtStart = await memoryOf(node)
    const models = [
      {
        id: MODEL,
        inputPerMillion: String(PRICE.input),
        outputPerMillion: String(PRICE.output),
        maxOutputTokens: MAX_TOKENS
      }
    ]
    await http.call('PUT', '/assistant/secrets/demo', { value: KEY })
    await http.call('PUT', '/assistant/secrets/bot', { value: BOT_TOKEN })
    const named = { kind: 'openai', url: provider.url, secret: 'demo', models }
    await http.call('PUT', '/assistant/providers/demo', { provider: named })
    const own = { kind: 'local', models: [{ id: EMBEDDER, use: 'embeddings' }] }
    await http.call('PUT', '/assistant/providers/own', { provider: own })
    const people = await Promise.all(Array.from({ length: PEOPLE }, (_, i) => http.person(`person ${i}`)))
    const [ann, bob] = people as [Person, Person]
    const account = async ({ id }: Person): Promise<Account> => {
      const { items } = await http.call<{ items: Account[] }>('GET', '/assistant/users')
      return items.find(each => each.id === id)!
    }
    const sum = (of: (person: Person) => number): number =>
      people.reduce((total, person) => total + of(person), 0)

    await step(`${PEOPLE} people ask for ${seconds} s, ${REPEATS * 100} of 100 questions again`, async () => {
      provider.pieceMs = PIECE_MS
      const end = performance.now() + Number(seconds) * 1000
      await Promise.all(people.map(person => talk(person, end)))
      provider.pieceMs = 0
      const answers = sum(({ answers }) => answers)
      const share = 1 - provider.calls / answers
      return {
        right: answers >= PEOPLE * 5 && share >= 0.3 && sum(({ wrong }) => wrong) === 0,
        detail: `${answers} answers, ${provider.calls} calls of the provider: −${Math.round(share * 100)} %`
      }
    })
    await step(
      'one question of all at once: nobody is answered from what another one has asked',
      async () => {
        const { calls } = provider
        const origins = await Promise.all(people.map(person => ask(person, 'What is the secret?', false)))
        const right = provider.calls === calls + PEOPLE && origins.every(origin => origin === 'miss')
        return { right, detail: `${provider.calls - calls} calls` }
      }
    )
    await step('100 equal questions of one person at once are one call', async () => {
      const { calls } = provider
      provider.pieceMs = 50
      await Promise.all(Array.from({ length: 100 }, (_, i) => ask(ann, 'Only once', i % 2 === 0)))
      provider.pieceMs = 0
      return { right: provider.calls === calls + 1, detail: `${provider.calls - calls} call` }
    })
    await step('embeddings without a provider: a worker of the network runs the model', async () => {
      const join = [
        'start',
        '--gateway-enabled',
        '--gateway-port',
        '0',
        '--seed',
        node.address,
        '--slots',
        '1'
      ]
      const buys = ['--assistant-enabled', '--assistant-quota-credits', '1']
      await stage.start('worker', [...join, '--trusted-peer', '*', ...buys])
      const seen = async (): Promise<boolean> => (await node.control.network.network()).workers === 1
      await until('the node to find it', seen)
      const { calls } = provider
      const input = ['The library opens at nine', 'The librery opens at nine', 'Расписание на понедельник']
      const { data } = await ann.client.embeddings.create({ model: EMBEDDER, input })
      const [text, misspelt, other] = data.map(({ embedding }) => embedding) as [number[], number[], number[]]
      const [near, far] = [productOf(text, misspelt), productOf(text, other)]
      return {
        right: provider.calls === calls && near > 0.5 && far < 0.35,
        detail: `${text.length} numbers; misspelt ${near.toFixed(2)} near, another text ${far.toFixed(2)}`
      }
    })
    await step('that worker buys answers of this node, for credits of the network', async () => {
      const worker = stage.nodes.get('worker')!
      const there = await openHttp(worker.folder)
      await http.call('PUT', '/assistant/providers/demo', { provider: { ...named, isSold: true } })
      const bought = { kind: 'peer', peer: node.id, models }
      await there.call('PUT', '/assistant/providers/bought', { provider: bought })
      const eve = await there.person('eve')
      const tries = async (): Promise<string> =>
        ask(eve, 'Bought', true).catch((error: Error) =>
          error instanceof OpenAI.APIError ? `${error.status}` : error.message
        )
      const unnamed = await tries()
      await http.call('PATCH', '/config', {
        'assistant.buyers': [worker.id],
        'assistant.allowedPeers': [worker.id]
      })
      const unpaid = await tries()
      await there.call('POST', '/assistant/pay', { to: node.id, credits: '100000' })
      const left = async (): Promise<bigint> =>
        BigInt((await there.call<{ left: string }>('GET', `/assistant/sellers/${node.id}`)).left)
      await until('the payment at the seller', async () => (await left()) === 100_000n)
      const paid = await tries()
      const cost = 100_000n - (await left())
      return {
        right: `${unnamed} ${unpaid} ${paid}` === '502 502 miss' && eve.wrong === 0 && cost === eve.cost,
        detail: `refused until it is named and has paid; ${cost} of 100000 micro-credits, as the provider said`
      }
    })
    await step(`a bot answers ${CHATS} chats, and whom nobody has admitted not`, async () => {
      const chats = Array.from({ length: CHATS }, (_, i) => i + 1)
      for (const chat of chats) await http.call('PUT', `/assistant/chats/${chat}`, {})
      for (const chat of [...chats, STRANGER]) telegram.write(chat, `Hello from ${chat}`)
      const isAnswered = (chat: number): boolean => telegram.texts(chat)[0] === answerTo(`Hello from ${chat}`)
      await until('all answers', async () => chats.every(isAnswered), BOT_MS)
      await until('the refusal', async () => telegram.texts(STRANGER).length === 1, BOT_MS)
      const [told] = telegram.texts(STRANGER)
      return {
        right: told?.includes(`admit ${STRANGER}`) === true,
        detail: `${chats.length} answers; ${told}`
      }
    })
    await step('the provider fails before the answer: asked again', async () => {
      const faults: Fault[] = [
        { status: 500 },
        { status: 408 },
        { status: 429, retryAfter: '0' },
        'refuse',
        'cut-before'
      ]
      const { wrong } = ann
      for (const fault of faults) {
        provider.faults.push(fault)
        await ask(ann, `After ${JSON.stringify(fault)}`, true)
      }
      return { right: ann.wrong === wrong, detail: `${faults.length} ways` }
    })
    await step('the provider breaks an answer off: the client throws, and nothing is kept', async () => {
      const faults: Fault[] = ['cut', 'silent-end', 'error-event']
      let thrown = 0
      for (const fault of faults) {
        const question = `Broken by ${fault}`
        provider.faults.push(fault)
        await ask(bob, question, true).catch(() => thrown++)
        if ((await ask(bob, question, true)) === 'hit') thrown = Number.NaN
      }
      return { right: thrown === faults.length, detail: `${thrown} of ${faults.length}` }
    })
    await step('the provider refuses: the error says why, and not with which key', async () => {
      const faults: [Fault, number][] = [
        [{ status: 400, code: 'context_length_exceeded' }, 400],
        [{ status: 401, message: `Incorrect API key provided: ${KEY}` }, 502],
        [{ status: 429, code: 'insufficient_quota' }, 502]
      ]
      const seen: string[] = []
      for (const [fault, status] of faults) {
        provider.faults.push(fault)
        const error = await ask(bob, `Refused ${status} ${seen.length}`, false).catch((error: Error) => error)
        if (error instanceof OpenAI.APIError && error.status === status && !error.message.includes(KEY))
          seen.push(`${status} ${error.code}`)
      }
      return { right: seen.length === faults.length, detail: seen.join(', ') }
    })
    await step('a client leaves: the provider sees the end', async () => {
      const { left } = provider
      provider.pieceMs = 300
      const body = {
        model: MODEL,
        messages: [{ role: 'user' as const, content: 'Too long' }],
        max_tokens: MAX_TOKENS
      }
      const stream = await bob.client.chat.completions.create({ ...body, stream: true })
      for await (const { choices } of stream) {
        if (!choices[0]?.delta.content) continue
        provider.pieceMs = 60_000
        break
      }
      await until('the provider to see it', async () => provider.left === left + 1)
      provider.pieceMs = 0
      await until('its settlement', async () => (await account(bob)).held === '0')
      return { right: true, detail: 'seen' }
    })
    await step('what was spent is what the provider said, to the micro-credit', async () => {
      // those of whom nothing was broken off
      const exact = people.filter(person => person !== bob)
      const { items } = await http.call<{ items: Account[] }>('GET', '/assistant/users')
      const spent = new Map(items.map(({ id, spent }) => [id, BigInt(spent)]))
      const off = exact.filter(({ id, cost }) => spent.get(id) !== cost)
      const total = exact.reduce((all, { cost }) => all + cost, 0n)
      return {
        right: off.length === 0 && items.every(({ held }) => held === '0'),
        detail: `${total} micro-credits of ${exact.length} people, ${off.length} differ; nothing is held`
      }
    })
    await step('a quota is the end, also for many calls at once', async () => {
      const quota = BigInt((await account(ann)).spent) + 5000n
      await http.call('PUT', `/assistant/users/${ann.id}`, { credits: String(quota) })
      const asked = Array.from({ length: 20 }, (_, i) => ask(ann, `Number ${i}`, false))
      const refused = (await Promise.allSettled(asked)).filter(each => each.status === 'rejected')
      const is402 = refused.some(({ reason }) => (reason as { status: number }).status === 402)
      const { spent } = await account(ann)
      return {
        right: is402 && BigInt(spent) <= quota,
        detail: `${spent} of ${quota}, ${refused.length} of 20 refused`
      }
    })
    await step(`memory below ${MAX_MB} MB, ${MAX_MB_PER_PERSON} MB per person`, async () => {
      const { peak } = await memoryOf(node)
      const each = (peak - memoryAtStart.now) / PEOPLE
      return {
        right: peak < MAX_MB && each < MAX_MB_PER_PERSON,
        detail: `${Math.round(peak)} MB at most, ${each.toFixed(1)} MB per person above ${Math.round(memoryAtStart.now)} at the start`
      }
    })
    await step(
      'kill −9 in the middle of answers: nothing stays held, and what was kept is there',
      async () => {
        provider.pieceMs = 500
        const broken = people
          .slice(2, 12)
          .map(person => ask(person, 'Never answered', true).catch(() => undefined))
        const { calls } = provider
        await until('calls that run', async () => provider.calls >= calls + 10)
        await stage.kill('node')
        await Promise.all(broken)
        provider.pieceMs = 0
        node = await begin()
        http = await openHttp(node.folder)
        const { items } = await http.call<{ items: Account[] }>('GET', '/assistant/users')
        for (const person of people) person.client = http.client(person.client.apiKey!)
        const origin = await ask(bob, 'What is the secret?', true)
        return {
          right: items.every(({ held }) => held === '0') && items.length >= PEOPLE && origin === 'hit',
          detail: `${items.length} users, their quotas as before; an answer of before: ${origin}`
        }
      }
    )
    return played(await stage.end(), { seconds: Number(seconds) })
  }
}

/** Of vectors of length 1: how near they are. */
const productOf = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b[i]!, 0)

/** Asks on until the time is over; what is asked again is what the person has asked before. */
async function talk(person: Person, end: number): Promise<void> {
  const pause = (): Promise<void> => delay(PAUSE_MS * (0.5 + Math.random()))
  let fresh = 0
  for (let asked = 0; performance.now() < end; asked++) {
    await pause()
    const isAgain = asked - fresh < REPEATS * asked
    const number = isAgain ? (asked * 7) % fresh : fresh++
    await ask(person, `Question ${number} of ${person.name}`, asked % 2 === 0)
  }
}

/** What the node answers over HTTP, as its owner. */
async function openHttp(folder: string) {
  const { url } = JSON.parse(await readFile(join(folder, 'gateway.json'), 'utf8')) as { url: string }
  const admin = (await readFile(join(folder, 'gateway-token'), 'utf8')).trim()

  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body)
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  const client = (apiKey: string): OpenAI =>
    new OpenAI({ apiKey, baseURL: `${url}/v1`, maxRetries: 0, timeout: 120_000 })
  return {
    call,
    client,
    async person(name: string): Promise<Person> {
      const body = { name, scopes: ['assistant:write'] }
      const { id, token } = await call<{ id: string; token: string }>('POST', '/tokens', body)
      return { name, id: `token-${id}`, client: client(token), answers: 0, saved: 0, cost: 0n, wrong: 0 }
    }
  }
}

/** MB that a process has in memory, and has had at most. */
async function memoryOf({ process: { pid } }: DemoNode): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const read = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
  return { now: read('VmRSS'), peak: read('VmHWM') }
}
