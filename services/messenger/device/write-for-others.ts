import { allows } from '../../host/index.ts'
import type { Chats } from '../contract.ts'
import { fromHex } from '../core/codec.ts'
import { MAX_TEXT_CHARS } from '../core/constants.ts'
import { mayChat } from '../people/acting.ts'

export interface WriteInit {
  say(chat: string, kind: 'text', body: { text: string; reply?: Uint8Array }, key: string): Promise<string>
  /** of the person whose device this is */
  login(): string | undefined
}

/** Chats of this device for other services of the node. */
export const createWriter = ({ say, login }: WriteInit): Pick<Chats, 'refusal' | 'write'> => ({
  refusal(caller) {
    if (caller.is === 'owner') return undefined
    const isAllowed = caller.is === 'grant' && allows(caller.grant, 'messenger:write')
    if (!isAllowed) return 'this needs a token with the scope messenger:write'
    return mayChat(caller, login()) ? undefined : `the chats of this node are those of ${login() ?? 'nobody'}`
  },
  async write(chat, text, key, reply) {
    const first = reply == null ? {} : { reply: fromHex(reply) }
    for (const [i, part] of partsOf(text, MAX_TEXT_CHARS).entries())
      await say(chat, 'text', { text: part, ...(i === 0 ? first : {}) }, `${key} ${i}`)
  }
})

/** Parts that are none too long, cut after a line where there is one, and never within a character. Pure. */
export function partsOf(text: string, max: number): string[] {
  const parts: string[] = []
  let rest = text
  while (rest.length > max) {
    const line = rest.lastIndexOf('\n', max)
    // half of a pair would be no character
    const isPair = /[\ud800-\udbff]/.test(rest[max - 1]!)
    const at = line > 0 ? line : max - Number(isPair)
    parts.push(rest.slice(0, at))
    rest = rest.slice(line > 0 ? at + 1 : at)
  }
  return [...parts, rest].filter(part => part !== '')
}
