import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { Demo } from './contract.ts'
import { chatInBrowsers } from './messenger-pages.ts'
import { digest, seeded } from './seeded.ts'
import { openServiceNetwork, type ServiceNode } from './service-network.ts'
import { until } from './stage.ts'
import { createSteps } from './steps.ts'

const PEOPLE = 30
const FILE_BYTES = 1_000_000
const WAIT_MS = 120_000
/** Long enough for what could come to have come. */
const SPLIT_MS = 2_000
/** What is written while a mailbox keeps it: looked for on its disk. */
const SECRET = 'Канарейка'

interface Line {
  id: string
  text?: string
  file?: { name: string }
}

/** A school on processes of this machine: somebody is away, a mailbox is killed, a pupil is removed, the network is cut. */
export const messenger: Demo = {
  summary:
    'a class chats by two mailboxes that read nothing, two people in Chromium; a mailbox is killed, a pupil is away, another removed; a damaged disk, a network in two parts',
  async run(stage) {
    const { folder, say } = stage
    const { step, played } = createSteps(say)
    await using network = await openServiceNetwork(folder, 'messenger')
    say('Starting five nodes, each a process of its own …')
    const desk = await network.start('desk')
    await Promise.all(['box', 'ann', 'bob', 'kim'].map(name => network.start(name)))
    const node = (name: string): ServiceNode => network.nodes.get(name)!
    const codes = new Map<string, string>()
    let group = ''

    const lines = async (name: string): Promise<Line[]> =>
      (await node(name).call<{ items: Line[] }>('messages', { group })).items.toReversed()
    const texts = async (name: string): Promise<string[]> =>
      (await lines(name)).flatMap(({ text }) => (text == null ? [] : [text]))
    const send = (name: string, text: string) => node(name).call('send', { group, text })
    const wait = (what: string, holds: () => Promise<boolean>) => until(what, holds, WAIT_MS)
    const areAt = (name: string, count: number) =>
      wait(`${count} messages at ${name}`, async () => (await texts(name)).length >= count)
    const equal = async (names: string[]): Promise<boolean> => {
      const lists = await Promise.all(names.map(async name => (await lines(name)).map(({ id }) => id).join()))
      return new Set(lists).size === 1
    }
    const canTalk = (name: string) =>
      wait(`${name} to be in the chat`, async () => {
        const { items } = await node(name).call<{ items: { id: string; isIn: boolean }[] }>('groups')
        return items.some(({ id, isIn }) => id === group && isIn)
      })
    const comeIn = (name: string) => node(name).call('join', { code: codes.get(name) })

    await step(`a school is founded, ${PEOPLE} people come from a list in windows-1251`, async () => {
      await desk.call('found', { name: 'Школа 7', me: 'Администратор' })
      const path = join(folder, 'people.csv')
      await writeFile(path, windows1251(peopleList()))
      const { invitations } = await desk.call<{
        invitations: { user: string; name: string; code: string }[]
      }>('importUsers', { path, apply: true })
      for (const { user, code } of invitations) codes.set(user, code)
      const { items } = await desk.call<{ items: { name: string }[] }>('users')
      const again = await desk.call<{ lines: { action: string }[] }>('importUsers', { path, apply: true })
      const isSame = again.lines.every(({ action }) => action === 'same')
      const isRead = items.some(({ name }) => name === 'Пётр Ёжиков 5')
      return { right: items.length === PEOPLE + 1 && isRead && isSame, detail: `${invitations.length} codes` }
    })
    await step('another node becomes the second mailbox, three people come in', async () => {
      await comeIn('box')
      await desk.call('setMailboxes', { peers: [desk.id, node('box').id] })
      for (const name of ['ann', 'bob', 'kim']) await comeIn(name)
      const { mailboxes } = await node('kim').call<{ mailboxes: string[] }>('status')
      return { right: mailboxes.length === 2, detail: 'desk and box keep mail' }
    })
    await step('a teacher begins the chat of a class, and it chats', async () => {
      ;({ id: group } = await node('ann').call<{ id: string }>('createGroup', {
        title: '7б',
        classes: ['7б']
      }))
      for (const name of ['bob', 'kim']) await canTalk(name)
      for (let i = 0; i < 5; i++) for (const name of ['ann', 'bob', 'kim']) await send(name, `${name} ${i}`)
      for (const name of ['ann', 'bob', 'kim']) await areAt(name, 15)
      return { right: await equal(['ann', 'bob', 'kim']), detail: '15 messages, one order' }
    })
    await chatInBrowsers({
      stage,
      step,
      networkFile: join(folder, 'network.json'),
      seed: desk.address,
      codeOf: login => codes.get(login)!
    })
    let file = ''
    await step('one is away; ten messages and a file; a mailbox is killed, five more', async () => {
      await node('kim').kill()
      for (let i = 0; i < 10; i++) await send('ann', `${SECRET} ${i}`)
      const bytes = Buffer.concat(await Array.fromAsync(seeded('homework', FILE_BYTES))).toString('base64')
      ;({ id: file } = await node('ann').call<{ id: string }>('addFile', {
        group,
        name: 'задание.pdf',
        bytes
      }))
      await wait('the mailboxes to have all', async () => {
        const { outbox } = await node('ann').call<{ outbox: number }>('status')
        return outbox === 0
      })
      await node('box').kill()
      for (let i = 10; i < 15; i++) await send('bob', `${SECRET} ${i}`)
      await areAt('ann', 30)
      return { right: true, detail: '1 MB sealed' }
    })
    await step('the disks of the mailboxes hold no plain text', async () => {
      const hits = await Promise.all(['desk', 'box'].map(name => contains(join(folder, name), SECRET)))
      const isThere = await contains(join(folder, 'ann'), SECRET)
      return { right: !hits.includes(true) && isThere, detail: `"${SECRET}" is on the disks of members only` }
    })
    await step('who was away is back and has everything, from the mailbox that is left', async () => {
      await network.start('kim')
      await areAt('kim', 30)
      const { bytes } = await node('kim').call<{ bytes: Uint8Array }>('file', { message: file })
      const isSame = (await digest(one(bytes))) === (await digest(seeded('homework', FILE_BYTES)))
      return {
        right: isSame && (await equal(['ann', 'bob', 'kim'])),
        detail: '30 messages, the file byte for byte'
      }
    })
    await step(
      'nobody changes who is in without a majority; the killed mailbox is back, a pupil is removed',
      async () => {
        const refused = await node('ann')
          .call('changeGroup', { group, remove: ['bob'] })
          .then(
            () => 'nothing',
            ({ name }: Error) => name
          )
        await network.start('box')
        await wait('the mailboxes to decide', () =>
          node('ann')
            .call('changeGroup', { group, remove: ['bob'] })
            .then(
              () => true,
              ({ name }: Error) => {
                if (name !== 'NoMajorityError') throw new Error(`it was refused: ${name}`)
                return false
              }
            )
        )
        return { right: refused === 'NoMajorityError', detail: `before: ${refused}` }
      }
    )
    await step('he reads nothing of what follows, the others do', async () => {
      await canTalk('kim')
      for (let i = 0; i < 5; i++) await send('ann', `after ${i}`)
      await areAt('kim', 35)
      const isBlind = (await texts('bob')).length === 30 && !(await contains(join(folder, 'bob'), 'after 0'))
      return { right: isBlind && (await equal(['ann', 'kim'])), detail: 'five messages' }
    })
    await step('search finds words in any form', async () => {
      const { items } = await node('kim').call<{ items: unknown[] }>('search', { text: 'канарейками' })
      return { right: items.length === 15, detail: `${items.length} for "канарейками"` }
    })
    await step('a backup; a disk is damaged, which is found, and all comes back', async () => {
      const { id } = await node('ann').call<{ id: string }>('backup', { full: true })
      // how far they got goes on changing
      const said = async (): Promise<string> =>
        JSON.stringify((await lines('ann')).map(({ id, text, file }) => [id, text, file?.name]))
      const before = await said()
      await node('ann').kill()
      const lost = damage(join(folder, 'ann'))
      await network.start('ann')
      const isDamaged = async (): Promise<boolean> => {
        const { items } = await node('ann').call<{ items: { state: string }[] }>('verify', { full: true })
        return items.some(({ state }) => state === 'fail')
      }
      const isFound = await isDamaged()
      const { events } = await node('ann').call<{ events: number }>('restore', { id })
      const checks = {
        isFound,
        isRestored: events === lost,
        isAsBefore: (await said()) === before,
        isWhole: !(await isDamaged()),
        isEqual: await equal(['ann', 'kim'])
      }
      const wrong = Object.entries(checks).flatMap(([name, is]) => (is ? [] : [name]))
      return {
        right: wrong.length === 0,
        detail: `${events} messages of ${lost}${wrong.length === 0 ? ', the same lines as before' : `, NOT ${wrong.join(', ')}`}`
      }
    })
    await step('the network is cut in two; each side chats on; healed, all have the same', async () => {
      const sides = [
        ['desk', 'ann'],
        ['box', 'kim']
      ]
      const ids = new Map([...network.nodes].map(([name, { id }]) => [name, id]))
      /** All anew, so that nobody misses the first one, by whom they find each other. */
      const restart = async (strangersOf: (side: number) => string[]) => {
        for (const name of [...network.nodes.keys()]) await node(name).kill()
        for (const [i, side] of sides.entries())
          for (const name of side)
            await network.start(name, { deniedPeers: strangersOf(i).map(each => ids.get(each)) })
      }
      await restart(i => sides[1 - i]!)
      const before = (await lines('ann')).length
      for (let i = 0; i < 10; i++) for (const name of ['ann', 'kim']) await send(name, `${name} alone ${i}`)
      await delay(SPLIT_MS)
      const [left, right] = [await texts('ann'), await texts('kim')]
      const isSplit = !left.includes('kim alone 0') && !right.includes('ann alone 0')
      await restart(() => [])
      for (const name of ['ann', 'kim'])
        await wait(`everything at ${name}`, async () => (await lines(name)).length === before + 20)
      return {
        right: isSplit && (await equal(['ann', 'kim'])),
        detail: 'ten messages of each side, one order'
      }
    })

    const ended = await network.end()
    return played(ended, { nodesEnded: ended })
  }
}

/** Takes every tenth message off a disk, and spoils every tenth; how many. */
function damage(folder: string): number {
  using db = new DatabaseSync(join(folder, 'services', 'messenger', 'messenger.sqlite'))
  const ids = db.prepare(`SELECT id FROM event WHERE kind = 'text' ORDER BY timeMs`).all() as { id: string }[]
  const drop = db.prepare('DELETE FROM event WHERE id = ?')
  const spoil = db.prepare('UPDATE event SET bytes = zeroblob(100) WHERE id = ?')
  const harmed = ids.filter((_, i) => i % 5 === 0).map(({ id }) => id)
  for (const [i, id] of harmed.entries()) (i % 2 === 0 ? drop : spoil).run(id)
  return harmed.length
}

function peopleList(): string {
  const known = [
    ...['box;Хранитель;учитель;', 'ann;Анна Ли;учитель;7б', 'bob;Боб;ученик;7б', 'kim;Ким;ученик;7б'],
    ...['olga;Ольга Ивановна;учитель;8а', 'petr;Пётр;ученик;8а']
  ]
  const others = Array.from(
    { length: PEOPLE - known.length },
    (_, i) => `pupil.${i};Пётр Ёжиков ${i};ученик;7б`
  )
  return ['логин;имя;роль;класс', ...known, ...others].join('\n')
}

/** А is 0xC0, я 0xFF, Ё 0xA8, ё 0xB8. */
const windows1251 = (text: string): Uint8Array =>
  Uint8Array.from(text, letter => {
    const code = letter.codePointAt(0)!
    if (code < 0x80) return code
    return letter === 'Ё' ? 0xa8 : letter === 'ё' ? 0xb8 : code - 0x410 + 0xc0
  })

async function contains(folder: string, text: string): Promise<boolean> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && (await readFile(join(entry.parentPath, entry.name))).includes(text)) return true
  return false
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
