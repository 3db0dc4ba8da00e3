import { BotError } from '../errors.ts'
import type { BotPort, Update } from './contract.ts'
import { split } from './split.ts'

const EDIT_GAP_MS = 1500
const WAITING = '…'

/**
 * An answer that is shown while it grows: one message that is edited now and then, and at the end the whole in as many
 * messages as it needs.
 */
export async function showGrowing(
  port: BotPort,
  { chat, message: answered }: Pick<Update, 'chat' | 'message'>,
  texts: AsyncIterable<string>,
  signal: AbortSignal,
  now: () => number
): Promise<string> {
  const send = (text: string): Promise<number> => port.send(chat, text, signal, answered)
  if (port.edit == null) return await sendWhole(port.maxChars, send, texts, signal)
  const change = port.edit
  const message = await send(WAITING)
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
      await send(first!)
    })
    for (const part of others) await send(part)
  }
  return text
}

async function sendWhole(
  maxChars: number,
  send: (text: string) => Promise<number>,
  texts: AsyncIterable<string>,
  signal: AbortSignal
): Promise<string> {
  let text = ''
  try {
    for await (const more of texts) text += more
  } finally {
    // as far as it came; what the end of the node cuts off is asked again by the next one
    const parts = signal.aborted ? [] : split(text, maxChars)
    for (const part of parts) if (part.trim() !== '') await send(part)
  }
  return text
}
