import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { APP, attach, button, line, say, seesPicture, signIn } from '../../../node/demo/chat-page.ts'
import { gifExtension, gifOf, movingWebp, png, riffChunk, webpOf } from './samples.ts'

/** What can be done with a message. */
export async function act(page: Page, text: string, action: string | RegExp): Promise<void> {
  await line(page, text)
    .getByRole('button', { name: /^What to do with/ })
    .click()
  await page.getByRole('menuitem', { name: action }).click()
  // what closes is still there for a moment
  await page.getByRole('menu').waitFor({ state: 'detached' })
}

/** Paths of all that a worker has kept in the browser. */
export const keptIn = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const found = await Promise.all((await caches.keys()).map(async name => (await caches.open(name)).keys()))
    return found.flat().map(({ url }) => new URL(url).pathname)
  })

/**
 * Another device of Bob, who is at `old`; at `fresh` nobody is in a school yet. First by wrong digits, then by its own. Then
 * he makes a recovery code, and reads at the other what was said before.
 */
export async function letDeviceIn(
  old: Page,
  fresh: Page,
  look: (page: Page, name: string) => Promise<void>
): Promise<void> {
  const show = (): Promise<void> => button(old, 'Show a code').click()
  async function come(): Promise<string> {
    const code = (await old.getByText(/^device\./).textContent())!
    await fresh.getByRole('textbox', { name: 'Code' }).fill(code)
    await fresh.getByLabel('What this computer is called').fill('laptop')
    await button(fresh, 'Join a school').click()
    await fresh.getByText('Type these digits on your other device:').waitFor()
    return (await fresh.getByText(/^\d{3} \d{3}$/).textContent())!
  }
  async function confirm(digits: string): Promise<void> {
    await old.getByLabel('The six digits that the other device shows').fill(digits)
    await button(old, 'Let it in').click()
  }
  await old.getByRole('tab', { name: 'My devices', exact: true }).click()
  await show()
  const digits = await come()
  await look(old, 'device-code')
  await look(fresh, 'device-digits')
  await confirm(digits.startsWith('1') ? '200000' : '100000')
  await old.getByRole('alert').getByText('these are not the digits').waitFor()
  await fresh.getByText('This device was not let in').waitFor()
  await button(old, 'Close').click()
  await show()
  await confirm(await come())
  await old.getByRole('list', { name: 'My devices' }).getByText('laptop').waitFor()
  await button(old, 'Make a recovery code').click()
  await old.getByText(/^Yours is of .*, made on the device: computer\.$/).waitFor()
  await old.getByRole('img', { name: 'Code of Bob for a camera' }).waitFor()
  await look(old, 'devices')
  await button(fresh, /^7b/).click()
  await line(fresh, 'вторую канарейку').waitFor()
  await old.getByRole('tab', { name: 'Chats', exact: true }).click()
}

/** With the token of a node, at its messenger. */
export async function enter(page: Page, url: string, token: string | undefined): Promise<void> {
  await page.goto(`${url}/#token=${token}`)
  await page.getByRole('img', { name: /Live|на связи/ }).waitFor()
  await page.evaluate(() => {
    window.location.hash = '#/services/artel%2Fmessenger%2F1'
  })
}

export const tab = (page: Page, name: string): Promise<void> =>
  page.getByRole('tab', { name, exact: true }).click()

/** Bob, who signs in elsewhere and is at home as well, is told at once at either what he says at the other. */
export async function chatAway(
  away: Page,
  url: string,
  name: string,
  password: string,
  home: Page
): Promise<void> {
  await away.goto(`${url}${APP}`)
  await signIn(away, name, password)
  await away.getByText('Keys lie at your home').waitFor()
  await button(away, /^7b/).click()
  await line(away, 'вторую канарейку').waitFor()
  await say(away, 'from the desk of Anna')
  await line(home, 'from the desk of Anna').waitFor()
  await say(home, 'seen at once')
  await line(away, 'seen at once').waitFor()
  assert.equal(await away.getByRole('tab', { name: 'My devices' }).count(), 0)
}

/** While he looks at something else, he is told that somebody named him in a chat that he has muted, and of nothing else. */
async function isToldOfHisName(anna: Page, bob: Page): Promise<void> {
  await bob.evaluate(() => {
    const told: string[] = []
    class Told {
      static permission = 'granted'
      constructor(title: string, { body }: { body: string }) {
        told.push(`${title}: ${body}`)
      }
    }
    Object.assign(window, { told, Notification: Told })
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
  })
  await say(anna, 'not about him')
  await button(bob, /^7b.*unread: 1$/).waitFor()
  await say(anna, 'boots tomorrow, @bob')
  await button(bob, /^7b.*unread: 2, you are named$/).waitFor()
  const told = await bob.evaluate(() => {
    Reflect.deleteProperty(document, 'visibilityState')
    document.dispatchEvent(new Event('visibilitychange'))
    return (window as unknown as { told: string[] }).told
  })
  assert.deepEqual(told, ['7b: You are named'])
}

/** Anna, who is no pupil, pins and names, silences Bob for a while, and announces; he is told, and mutes the chat. */
export async function moderate(
  anna: Page,
  bob: Page,
  look: (page: Page, name: string) => Promise<void>
): Promise<void> {
  await act(anna, 'вторую канарейку', 'Pin')
  const pinned = bob.getByRole('list', { name: 'Pinned' })
  await pinned.getByRole('button', { name: /канарейку/ }).click()
  await bob.waitForFunction(() => document.activeElement?.textContent?.includes('канарейку'))
  await button(bob, 'Mute').click()
  await button(bob, 'Tell me again').waitFor()
  await button(anna, /^People in this chat/).click()
  const members = anna.getByRole('dialog', { name: /^People in this chat/ })
  await members.getByRole('button', { name: 'Silence Bob' }).click()
  const dialog = anna.getByRole('dialog', { name: 'Silence Bob' })
  await dialog.getByLabel(/^Why/).fill('let others speak')
  await look(anna, 'silence')
  await dialog.getByRole('button', { name: 'Silence', exact: true }).click()
  await bob.getByText(/^Anna Admin has silenced you here until .*: let others speak$/).waitFor()
  await look(bob, 'silenced')
  await members.getByRole('button', { name: 'Let Bob speak again' }).click()
  await bob.getByRole('textbox', { name: 'Write a message' }).waitFor()
  await members.getByRole('button', { name: 'Close' }).click()
  await isToldOfHisName(anna, bob)
  await button(anna, 'Announcement').click()
  const announcement = anna.getByRole('dialog', { name: 'Announcement' })
  await announcement.getByLabel('To the chats of the classes').fill('@bob, boots tomorrow')
  await look(anna, 'announcement')
  await announcement.getByRole('button', { name: 'Announcement' }).click()
  await announcement.getByText(/7б/).waitFor()
  await announcement.getByRole('button', { name: 'Close' }).click()
  await announcement.waitFor({ state: 'detached' })
  await look(anna, 'chat')
}

/** Finds what Bob said, and opens the chat in which he did. */
export async function search(page: Page, look: (page: Page, name: string) => Promise<void>): Promise<void> {
  await tab(page, 'Search')
  await page.getByLabel('Words, in any of their forms').fill('канарейками')
  await button(page, 'Search').click()
  await page.getByText('Спрошу про вторую канарейку').waitFor()
  await look(page, 'search')
  await button(page, 'Open the chat').click()
  await line(page, 'вторую канарейку').waitFor()
}

/** Pictures of every kind that is shown, with what is taken out before they are sent. */
export async function sendPictures(from: Page, to: Page): Promise<void> {
  const told = riffChunk('EXIF', Buffer.from('GPS 55.75 37.61'))
  const pictures: [name: string, width: number, bytes: Buffer][] = [
    ['red.png', 8, png(8, 8)],
    ['red.webp', 16, webpOf(0x08, told)],
    ['moving.webp', 16, movingWebp(0x08, told)],
    ['dot.gif', 1, gifOf(gifExtension(0xfe, Buffer.from('GPS 55.75 37.61')))]
  ]
  for (const [name, width, bytes] of pictures) {
    await attach(from, name, bytes)
    await seesPicture(to, name, width)
  }
}

/** Bob, at the root of a listener that shows the messenger alone. */
export async function chatAtListener(
  page: Page,
  url: string,
  name: string,
  password: string,
  other: Page
): Promise<void> {
  await page.goto(url)
  await signIn(page, name, password)
  await page.getByText('Keys lie on this node').waitFor()
  await button(page, /^7b/).click()
  await say(page, 'from port 8000')
  await line(other, 'from port 8000').waitFor()
  await say(other, 'heard at port 8000')
  await line(page, 'heard at port 8000').waitFor()
  assert.equal(page.url().split('#')[0], `${url}${APP}`)
}

/** Mail goes to a file, and comes back from it: nothing of it is new. */
export async function carryMail(page: Page): Promise<void> {
  const kept = page.waitForEvent('download')
  await button(page, 'Keep a file').click()
  const path = await (await kept).path()
  const chooser = page.waitForEvent('filechooser')
  await button(page, 'Take in a file').click()
  await (await chooser).setFiles(path)
  await page.getByText('New here: 0 parts of mail, 0 statements of the roster.').waitFor()
}

/** For an address of the LAN; one of the internet is refused. */
export async function makeCertificate(page: Page): Promise<void> {
  const certificate = page.getByRole('region', { name: 'Certificate' })
  await certificate.getByLabel(/^Addresses of this machine/).fill('chat.example')
  await certificate.getByRole('button').click()
  const alert = page.getByRole('alert')
  await alert.getByText('chat.example is no address of a LAN').waitFor()
  await alert.getByRole('button', { name: 'Close' }).click()
  await certificate.getByLabel(/^Addresses of this machine/).fill('192.168.1.100, chat.school.lan')
  await certificate.getByRole('button').click()
  await certificate.getByText('For 192.168.1.100, chat.school.lan, 127.0.0.1, localhost, until').waitFor()
  await certificate.getByText(/authority\.pem: put it among the authorities/).waitFor()
}

/** A backup, and what is missing from it: all of it, and what one person wrote. */
export async function restoreBackups(
  page: Page,
  look: (page: Page, name: string) => Promise<void>
): Promise<void> {
  await button(page, 'Back up now').click()
  await button(page, /^Restore the backup of/).click()
  const question = page.getByRole('dialog')
  await question.getByRole('button', { name: 'Cancel' }).click()
  await button(page, /^Restore the backup of/).click()
  await look(page, 'restore')
  await question.getByRole('button', { name: 'Restore' }).click()
  await page.getByText('Back again: messages 0, mail 0, parts of files 0').waitFor()
  await page.getByLabel('Only what this person wrote').selectOption('bob')
  await button(page, /^Restore the backup of/).click()
  const partly = page.waitForRequest(/\/restore$/)
  await question.getByRole('button', { name: 'Restore' }).click()
  assert.deepEqual((await partly).postDataJSON(), { user: 'bob' })
  await page.getByText('Back again: messages 0, mail 0, parts of files 0').waitFor()
}

/** Anna lets pupils have quiet hours, at all times; what Bob writes then waits, until there are none. */
export async function keepQuiet(
  anna: Page,
  bob: Page,
  look: (page: Page, name: string) => Promise<void>
): Promise<void> {
  const hours = anna.getByLabel('Quiet hours')
  await hours.fill('1-7 00:00-24:00 UTC')
  assert.ok(await anna.getByRole('checkbox', { name: 'pupil', exact: true }).isChecked())
  await look(anna, 'quiet-rules')
  await button(anna, 'Save the rules').click()
  await bob.getByRole('tab', { name: 'Chats', exact: true }).click()
  await button(bob, /^7b/).click()
  await bob.getByText(/^Quiet hours until .*: what you write goes then\.$/).waitFor()
  for (const text of ['are you awake?', 'good night']) {
    await say(bob, text)
    await line(bob, text).getByText('goes when quiet hours end').waitFor()
  }
  await look(bob, 'quiet')
  await line(bob, 'are you awake?').getByRole('button', { name: 'Throw away' }).click()
  await line(bob, 'are you awake?').waitFor({ state: 'detached' })
  await hours.fill('')
  await button(anna, 'Save the rules').click()
  await bob.getByText(/^Quiet hours until/).waitFor({ state: 'detached' })
  await line(bob, 'good night')
    .getByRole('button', { name: /^What to do with/ })
    .waitFor()
}
