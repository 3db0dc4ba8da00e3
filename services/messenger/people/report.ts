import type { Person } from '../assemble-person.ts'
import { toHex } from '../core/codec.ts'
import { REPORTS_TITLE } from '../core/constants.ts'
import { PolicyError, UnknownChatError } from '../errors.ts'

const CONTEXT = 5
const MAX_QUOTE = 1_000

/**
 * Tells an admin about a message, in a chat of two: what was said in words, and, where who reports may send files, as
 * one the signed events with those before it, which prove who wrote what.
 *
 * @throws {UnknownChatError} there is no such message, or it was deleted
 * @throws {PolicyError} there is no admin but oneself
 */
export async function report(
  { store, school, groups, chats, view, self }: Person,
  message: string,
  reason: string
): Promise<{ id: string; chat: string }> {
  const roster = school.known()
  const found = store.event(message)
  if (found == null) throw new UnknownChatError(`there is no message ${message}`)
  const me = roster.person(self)
  const admin = roster
    .users()
    .find(({ id, role }) => role === 'admin' && id !== me?.id && roster.devicesOf(id).length > 0)
  if (me == null || admin == null)
    throw new PolicyError('there is no other admin with a device whom a report could reach')
  const pair = [me.id, admin.id].sort().join()
  const known = view.chats().find(
    ({ title, isIn, people }) =>
      title === REPORTS_TITLE &&
      isIn &&
      people
        .map(({ id }) => id)
        .sort()
        .join() === pair
  )
  const chat = known?.id ?? (await groups.create([me.id, admin.id], REPORTS_TITLE, 'all'))

  const { event } = found
  const user = roster.device(event.device)?.user ?? event.device
  const name = roster.user(user)?.name ?? user
  const quote = view.page(found.grp, 1, { at: event.timeMs, id: `${message}~` })[0]
  const said = quote?.id !== message ? '' : (quote.text ?? quote.file?.name ?? '')
  const rows = store.inOrder(found.grp).filter(({ bytes }) => bytes != null)
  const at = rows.findIndex(({ id }) => id === message)
  const evidence = {
    school: toHex(roster.school),
    chat: found.grp,
    message,
    events: rows.slice(Math.max(0, at - CONTEXT), at + 1).map(({ id, device, bytes, signature }) => ({
      id,
      device,
      bytes: Buffer.from(bytes!).toString('base64'),
      signature: Buffer.from(signature!).toString('base64')
    }))
  }
  const text = `${REPORTS_TITLE} ${reason}\n${name}, ${new Date(event.timeMs).toISOString()}:\n${said.slice(0, MAX_QUOTE)}`
  const id = await chats.say(chat, 'text', { text })
  // a file would be refused, and the words are there
  if (me.role === 'pupil' && !roster.policy().pupilFiles) return { id, chat }
  await chats.sendFile(
    chat,
    `report-${message.slice(0, 8)}.json`,
    Buffer.from(JSON.stringify(evidence, null, 2))
  )
  return { id, chat }
}
