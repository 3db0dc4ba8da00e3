import { equal, ok, rejects } from 'node:assert/strict'
import { answerTo, type Fault, usageOf } from '../../../node/demo/provider.ts'
import { until } from '../../bootstrap/nodes.ts'
import { KEY, startAssistant } from './assistant-node.ts'

const USERS = 20
/** Of each of them: ASSISTANT_FAILURES=50 are 1,000 in all. */
const CALLS = Number(process.env.ASSISTANT_FAILURES ?? 15)
const AT_ONCE = 4
/** More than the hold of a call: what it takes of a question below 100 characters, and 100 tokens. */
const MOST = 400n
/** Before the first byte, and after it. */
const FAULTS: Fault[] = [
  { status: 400 },
  'refuse',
  'cut',
  'cut',
  'cut',
  'silent-end',
  'error-event',
  'filtered'
]

describe('assistant: whatever fails', function () {
  this.timeout(600_000)
  const lines: string[] = []
  let assistant: Awaited<ReturnType<typeof startAssistant>>
  before(async () => {
    assistant = await startAssistant(lines)
  })
  after(() => assistant?.[Symbol.asyncDispose]())

  it('of calls that are cut, refused or left nothing is held, and no user is above his quota', async () => {
    let random = 7
    const dice = (sides: number): number => {
      random = (random * 48271) % 2147483647
      return random % sides
    }
    const none: Fault[] = []
    const byChance = Object.assign([], {
      shift: () => (dice(4) === 0 ? FAULTS[dice(FAULTS.length)] : undefined)
    }) as Fault[]
    const ends = { whole: 0, failed: 0, left: 0, refused: 0 }

    /** Asks on until his calls are over; what he must at least and may at most have spent. */
    async function person(number: number): Promise<void> {
      const { client, id } = users[number]!
      // some have enough for all, others for a part
      const quota = number % 2 === 0 ? 1_000_000n : 900n
      await assistant.call('quota', { id, credits: String(quota) })
      let asked = 0
      let exact = (await assistant.account(id)).spent
      let unsure = 0n
      async function ask(): Promise<void> {
        const content = `call ${asked} of ${number}`
        const messages = [{ role: 'user' as const, content }]
        const leaving = new AbortController()
        const isLeft = dice(10) === 0
        if (isLeft) setImmediate(() => leaving.abort())
        const body = { model: 'm', temperature: 0, max_tokens: 100, messages }
        try {
          if (asked++ % 2 === 0) await client.chat.completions.create(body, { signal: leaving.signal })
          else
            for await (const _ of await client.chat.completions.create(
              { ...body, stream: true },
              { signal: leaving.signal }
            ));
          const { prompt_tokens, completion_tokens } = usageOf(JSON.stringify(messages), answerTo(content))
          exact += BigInt(prompt_tokens + 2 * completion_tokens)
          ends.whole++
        } catch (error) {
          const { status } = error as { status?: number }
          if (status === 402) return void ends.refused++
          if (leaving.signal.aborted) ends.left++
          else ends.failed++
          unsure += MOST
        }
      }
      const worker = async (): Promise<void> => {
        while (asked < CALLS) await ask()
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
      await until(async () => (await assistant.account(id)).held === 0n, `${number} holds nothing`)
      const { spent } = await assistant.account(id)
      ok(spent <= quota, `${number} has spent ${spent} of ${quota}`)
      ok(spent >= exact && spent <= exact + unsure, `${spent}, of which ${exact} are of whole answers`)
    }
    const users = await Promise.all(
      Array.from({ length: USERS }, async (_, number) => {
        const user = await assistant.user()
        // who has asked is a user, and can have a quota
        await user.client.chat.completions.create({
          model: 'm',
          messages: [{ role: 'user', content: `first of ${number}` }]
        })
        return user
      })
    )
    assistant.first.faults = byChance
    try {
      await Promise.all(users.map((_, number) => person(number)))
    } finally {
      assistant.first.faults = none
    }
    for (const [end, count] of Object.entries(ends)) ok(count > 0, end)
  })

  it('keys and questions stand in no log and no error, and answers are those of who has asked', async () => {
    const canary = 'canary-question-9d1'
    const [ann, bob] = [await assistant.user(), await assistant.user()]
    const ask = ({ client }: typeof ann, content: string) =>
      client.chat.completions.create({
        model: 'm',
        temperature: 0,
        max_tokens: 100,
        messages: [{ role: 'user', content }]
      })
    await ask(ann, canary)
    const errors: string[] = []
    const told = (error: Error): true => {
      errors.push(error.message, JSON.stringify(error))
      return true
    }
    const faults: Fault[] = [
      { status: 401, message: `Incorrect API key provided: ${KEY}` },
      { status: 403, message: KEY },
      { status: 400, message: `no such thing for ${KEY}` }
    ]
    for (const [i, fault] of faults.entries()) {
      assistant.first.faults.push(fault)
      await rejects(ask(ann, `${canary} ${i}`), told)
    }
    const before = assistant.first.calls
    const { choices } = await ask(bob, 'What did the others ask?')
    equal(assistant.first.calls, before + 1)
    equal(choices[0]!.message.content, answerTo('What did the others ask?'))
    ok(lines.length > 0 && errors.length === 2 * faults.length)
    for (const text of [...lines, ...errors]) ok(!text.includes(KEY) && !text.includes(canary), text)
  })
})
