import { equal, ok } from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { answerTo } from '../../../node/demo/provider.ts'
import { startAssistant } from './assistant-node.ts'

/** Of each of 50 users. An hour in which each asks once a minute: ASSISTANT_CALLS=60 */
const CALLS = Number(process.env.ASSISTANT_CALLS ?? 12)
const USERS = 50
const REPEATED = 0.35
const MB = 1e6

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void
function heapMb(): number {
  gc()
  return process.memoryUsage().heapUsed / MB
}

describe('assistant: 50 users, one question after the other', function () {
  this.timeout(600_000 + USERS * CALLS * 100)
  let assistant: Awaited<ReturnType<typeof startAssistant>>
  // of this process, which has run other files before
  const rssBefore = process.memoryUsage.rss()
  before(async () => {
    assistant = await startAssistant()
  })
  after(() => assistant?.[Symbol.asyncDispose]())

  it('asks the provider for what is new alone, and memory stays as it is', async () => {
    const { first, url } = assistant
    const users = await Promise.all(Array.from({ length: USERS }, () => assistant.user()))
    const asked = users.map((): string[] => [])

    async function ask(user: number, turn: number): Promise<void> {
      const known = asked[user]!
      const isRepeated = Math.floor((turn + 1) * REPEATED) > Math.floor(turn * REPEATED)
      const content = isRepeated ? known[turn % known.length]! : `question ${turn} of user ${user}`
      if (!isRepeated) known.push(content)
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${users[user]!.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'm',
          temperature: 0,
          stream: turn % 2 === 1,
          messages: [{ role: 'user', content }]
        })
      })
      const text = await response.text()
      const said =
        turn % 2 === 0
          ? JSON.parse(text).choices[0].message.content
          : [...text.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)].map(([, part]) => JSON.parse(part!)).join('')
      equal(said, answerTo(content))
    }
    const turns = async (from: number, to: number): Promise<void> => {
      for (let turn = from; turn < to; turn++) {
        await Promise.all(users.map((_, user) => ask(user, turn)))
        first.bodies.length = 0
      }
    }

    // what is made once is there after a quarter of it
    await turns(0, CALLS / 4)
    const before = heapMb()
    await turns(CALLS / 4, CALLS)
    const grown = heapMb() - before
    ok(grown < 10, `${grown} MB more`)
    ok(process.memoryUsage.rss() - rssBefore < 1000 * MB)
    const distinct = asked.flat().length
    equal(first.calls, distinct)
    ok(distinct <= 0.7 * USERS * CALLS, `${distinct} of ${USERS * CALLS}`)
    for (const { held } of (await assistant.call<{ items: { held: bigint }[] }>('users')).items)
      equal(held, 0n)
  })
})
