import { deepEqual, equal, ok } from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { openTelegram, type Telegram } from '../../../node/demo/telegram.ts'
import { createBot } from '../../../services/assistant/bot/bot.ts'
import { showGrowing } from '../../../services/assistant/bot/reply.ts'
import { split } from '../../../services/assistant/bot/split.ts'
import { createTelegram } from '../../../services/assistant/bot/telegram.ts'
import { AssistantError } from '../../../services/assistant/errors.ts'
import { MIGRATIONS } from '../../../services/assistant/schema.ts'
import { createChats } from '../../../services/assistant/store/chats.ts'
import { until } from '../../bootstrap/nodes.ts'

const TOKEN = '12345:canary-token'

describe('assistant: long texts', () => {
  it('are the same in parts, none too long, no character cut', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', '\n', 'ж', '😀'), minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(text, fc.integer({ min: 4, max: 40 }), (long, max) => {
        const parts = split(long, max)
        equal(parts.join(''), long)
        ok(parts.every(part => part.length <= max && part.isWellFormed()))
      })
    )
    deepEqual(split('one two three', 9), ['one two ', 'three'])
  })
})

/** Looks for messages until it is ended. */
function run(telegram: Telegram, db: DatabaseSync, answer: (text: string) => AsyncIterable<string>) {
  const ending = new AbortController()
  const port = createTelegram(telegram.url, async () => TOKEN)
  const chats = createChats(db, Date.now)
  const errors: string[] = []
  const bot = createBot({
    port,
    chats,
    answer: (_, __, turns) => answer(turns.map(({ content }) => content).join('|')),
    now: Date.now,
    onHandled: error => error != null && errors.push(error.message)
  })
  const running = (async () => {
    while (!ending.signal.aborted)
      await bot.look(ending.signal).catch((error: Error) => {
        if (!ending.signal.aborted) throw error
      })
  })()
  return {
    chats,
    errors,
    async end() {
      ending.abort()
      await running
      await port.close()
    }
  }
}

function openDb(): DatabaseSync {
  const db = new DatabaseSync(':memory:')
  for (const script of MIGRATIONS) db.exec(script)
  return db
}

async function* echo(text: string): AsyncGenerator<string> {
  for (const word of text.split(' ')) yield `${word} `
}

describe('assistant: the bot', function () {
  this.timeout(600_000)
  let telegram: Telegram
  beforeEach(async () => {
    telegram = await openTelegram(TOKEN)
  })
  afterEach(() => telegram?.[Symbol.asyncDispose]())
  const shown = (chat: number): string[] => telegram.texts(chat).map(text => text.trim())
  const isThere = (chat: number, text: string) =>
    until(() => shown(chat).includes(text), `"${text.slice(0, 40)}" in ${chat}`)

  it('answers whom its owner has admitted, remembers the talk, and begins anew', async () => {
    const bot = run(telegram, openDb(), echo)
    telegram.write(7, 'hello')
    await isThere(7, 'The owner of this bot admits you with: artel assistant admit 7')
    bot.chats.admit('7', 'Ann')
    telegram.write(7, 'first')
    await isThere(7, 'first')
    telegram.write(7, 'second')
    await isThere(7, 'first|first |second')
    telegram.write(7, '/new')
    telegram.write(7, 'third')
    await isThere(7, 'third')
    await until(() => telegram.confirmed >= 4, 'what is handled is confirmed')
    await bot.end()
    deepEqual(bot.errors, [])
  })

  it('a long answer comes whole, whatever the messenger refuses meanwhile', async () => {
    const long = Array.from({ length: 2500 }, (_, i) => `word${i}`).join(' ')
    const bot = run(telegram, openDb(), () => echo(long))
    bot.chats.admit('1', '')
    telegram.faults.push(
      { status: 429, description: 'Too Many Requests', retryAfter: 1 },
      { status: 502, description: 'Bad Gateway' },
      'refuse'
    )
    telegram.write(1, 'tell me')
    await until(() => telegram.texts(1).join('').trim() === long, 'the whole answer')
    ok(telegram.texts(1).length > 3)
    await bot.end()
    deepEqual(bot.errors, [])
  })

  it('an answer whose message was deleted comes as another one', async () => {
    const bot = run(telegram, openDb(), async function* () {
      telegram.faults.push({ status: 400, description: 'Bad Request: message to edit not found' })
      yield 'all of it'
    })
    bot.chats.admit('1', '')
    telegram.write(1, 'tell me')
    await isThere(1, 'all of it')
    await bot.end()
    deepEqual(bot.errors, [])
  })

  it('an error is told, and the next question answered', async () => {
    const bot = run(telegram, openDb(), text => {
      if (text === 'bad')
        throw new AssistantError(402, 'insufficient_quota', 'insufficient_quota', 'your quota is over')
      return echo(text)
    })
    bot.chats.admit('1', '')
    telegram.write(1, 'bad')
    telegram.write(1, 'good')
    await isThere(1, 'your quota is over')
    await isThere(1, 'good')
    await bot.end()
  })

  it('a slow chat holds up no other; what was not answered when it ended is answered by the next one', async () => {
    const db = openDb()
    const never = new Promise<never>(() => {})
    const first = run(telegram, db, text =>
      text === 'slow'
        ? (async function* () {
            yield await never
          })()
        : echo(text)
    )
    for (const chat of ['1', '2']) first.chats.admit(chat, '')
    telegram.write(1, 'slow')
    telegram.write(2, 'quick')
    await isThere(2, 'quick')
    equal(telegram.confirmed, 0)
    await first.end()
    const second = run(telegram, db, echo)
    await isThere(1, 'slow')
    await until(() => telegram.confirmed === 2, 'both are confirmed')
    await second.end()
  })

  it('a place of an older day is none: after a quiet week the messenger begins with other numbers', async () => {
    const db = openDb()
    let now = Date.now()
    const { offset, setOffset } = createChats(db, () => now)
    setOffset(5000)
    equal(offset(), 5000)
    now += 25 * 60 * 60_000
    equal(offset(), 0)
    now -= 50 * 60 * 60_000
    setOffset(5000)
    const bot = run(telegram, db, echo)
    bot.chats.admit('1', '')
    telegram.write(1, 'hello')
    await isThere(1, 'hello')
    await bot.end()
  })

  it('edits no more often than the messenger likes', async () => {
    let now = 0
    const edits: number[] = []
    const port = {
      maxChars: 4096,
      isOpen: false,
      updates: async () => [],
      send: async () => 1,
      edit: async () => void edits.push(now),
      close: async () => {}
    }
    async function* slowly(): AsyncGenerator<string> {
      for (let i = 0; i < 100; i++) {
        now += 100
        yield 'x'
        await new Promise(setImmediate)
      }
    }
    await showGrowing(port, { chat: '1' }, slowly(), new AbortController().signal, () => now)
    // that at the end does not wait
    const gaps = edits.slice(1, -1).map((at, i) => at - edits[i]!)
    ok(edits.length >= 5 && gaps.every(gap => gap >= 1500), edits.join())
  })
})
