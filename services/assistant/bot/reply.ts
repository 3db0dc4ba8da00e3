import { BotError } from '../errors.ts'
import type { BotPort } from './contract.ts'
import { split } from './split.ts'

const EDIT_GAP_MS = 1500
const WAITING = '…'

/**
 * An answer that is shown while it grows: one message that is edited now and then, and at the end the whole in as many
 * messages as it needs.
 */
export async function showGrowing(
  port: BotPort,
  chat: string,
  texts: AsyncIterable<string>,
  signal: AbortSignal,
  now: () => number
): Promise<string> {
  if (port.edit == null) return await sendWhole(port, chat, texts, signal)
  const change = port.edit
  const message = await port.send(chat, WAITING, signal)
  let shown = WAITING
  let shownAt = now()
  let text = ''
  let edit: Promise<void> | undefined

  async function show(part: string): Promise<void> {
    if (part === shown || part.trim() === '') return
    await change(chat, message, part, signal)
    shown = part
    shownAt = now()
  }

  try {
    for await (const more of texts) {
      text += more
      if (edit != null || now() - shownAt < EDIT_GAP_MS) continue
      const part = split(text, port.maxChars)[0]!
      // a messenger that makes us wait does not hold up the answer
      edit = show(part)
        .catch(() => undefined /* the last one counts, and is not left out */)
        .finally(() => {
          edit = undefined
        })
    }
  } finally {
    await edit
    const [first, ...others] = split(text, port.maxChars)
    await show(first!).catch(async error => {
      if (!(error instanceof BotError)) throw error
      // it was deleted meanwhile
      await port.send(chat, first!, signal)
    })
    for (const part of others) await port.send(chat, part, signal)
  }
  return text
}

async function sendWhole(
  port: BotPort,
  chat: string,
  texts: AsyncIterable<string>,
  signal: AbortSignal
): Promise<string> {
  let text = ''
  try {
    for await (const more of texts) text += more
  } finally {
    // as far as it came
    for (const part of split(text, port.maxChars)) if (part.trim() !== '') await port.send(chat, part, signal)
  }
  return text
}
