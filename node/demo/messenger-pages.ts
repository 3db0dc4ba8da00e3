import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { PNG } from 'pngjs'
import { openTabs, type Tabs } from './browser-tabs.ts'
import { APP, attach, button, keepFile, line, lines, say, seesPicture, signIn, signOut } from './chat-page.ts'
import { seeded } from './seeded.ts'
import { type Stage, until } from './stage.ts'
import type { createSteps } from './steps.ts'

const PASSWORD = 'correct horse battery'
const PICTURE = { name: 'доска.png', width: 320, height: 200 }
const FILE = { name: 'homework.bin', bytes: 300_000 }
const WAIT_MS = 120_000

/** How to find the school, and who comes: `code` lets his node in. */
export interface PagesInit {
  stage: Stage
  step: ReturnType<typeof createSteps>['step']
  networkFile: string
  seed: string
  codeOf(login: string): string
}

interface Person {
  page: Page
  tabs: Tabs
}

/** A teacher and a pupil, each at a node of his own with an account there, and in a Chromium of his own. */
export async function chatInBrowsers({ stage, step, networkFile, seed, codeOf }: PagesInit): Promise<void> {
  await using stack = new AsyncDisposableStack()
  let teacher!: Person
  let pupil!: Person

  async function comeIn(login: string, name: string, locale: string): Promise<Person> {
    const tabs = stack.use(await openTabs())
    const { folder } = await stage.start(login, [
      ...['start', '--network', networkFile, '--seed', seed, '--listen', '/ip4/127.0.0.1/tcp/0'],
      ...['--compute', 'false', '--gateway-port', '0', '--messenger-enabled']
    ])
    const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
    const { url } = JSON.parse(await read('gateway.json')) as { url: string }
    const token = (await read('gateway-token')).trim()
    async function ask<T>(path: string, body: object): Promise<T> {
      const response = await fetch(`${url}/api/v1${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body)
      })
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return (response.status === 204 ? undefined : await response.json()) as T
    }
    await until(
      `${login} to be in the school`,
      () =>
        ask('/messenger/roster/join', { code: codeOf(login) }).then(
          () => true,
          () => false
        ),
      WAIT_MS
    )
    await ask('/roles', { name: 'chatter', scopes: ['read', 'messenger:write'] })
    const { code } = await ask<{ code: string }>('/accounts', { name: login, role: 'chatter' })
    await ask('/invitations/accept', { code, password: PASSWORD })
    const page = await tabs.open(`${url}${APP}`, locale)
    await signIn(page, login, PASSWORD)
    await page.getByText(name).first().waitFor()
    return { page, tabs }
  }

  await step('a teacher and a pupil sign in, each in a Chromium of their own', async () => {
    ;[teacher, pupil] = await Promise.all([
      comeIn('olga', 'Ольга Ивановна', 'en-GB'),
      comeIn('petr', 'Пётр', 'ru-RU')
    ])
    const isOne = teacher.tabs.pid === pupil.tabs.pid
    return { right: !isOne, detail: 'hers in English, his in Russian' }
  })
  await step('she begins a chat; a message and an answer', async () => {
    const { page } = teacher
    await button(page, 'New chat').click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Title').fill('8а')
    await dialog.getByRole('textbox', { name: 'With' }).fill('petr')
    await dialog.getByRole('checkbox', { name: 'Пётр · 8а' }).check()
    await until(
      'his node to have left key packages',
      async () => {
        await dialog.getByRole('button', { name: 'Begin' }).click()
        await lines(page).or(dialog.getByRole('alert')).first().waitFor()
        return lines(page).isVisible()
      },
      WAIT_MS
    )
    await say(page, 'Что на доске? **Сфотографируй**')
    await button(pupil.page, /^8а/).click()
    await line(pupil.page, 'Что на доске?').waitFor()
    await line(page, 'Что на доске?').getByText('read by 1').waitFor()
    await say(pupil.page, '<script>alert(1)</script> сейчас')
    await line(page, '<script>alert(1)</script> сейчас').waitFor()
    const bold = await lines(pupil.page).locator('strong').textContent()
    return { right: bold === 'Сфотографируй', detail: 'seen on both pages, his reading on hers' }
  })
  await step('a picture from his page to hers, a file from hers to his', async () => {
    const { name, width } = PICTURE
    await attach(pupil.page, name, picture())
    await seesPicture(teacher.page, name, width)
    const bytes = Buffer.concat(await Array.fromAsync(seeded(FILE.name, FILE.bytes)))
    await attach(teacher.page, FILE.name, bytes)
    const isSame = bytes.equals(await keepFile(pupil.page, FILE.name))
    return {
      right: isSame,
      detail: `${name} drawn ${width} wide, ${FILE.name} ${isSame ? 'byte for byte' : 'NOT as it was'}`
    }
  })
  await step('she asks to confirm that a message was read, he does, and she sees it', async () => {
    const { page } = teacher
    await button(page, 'Ask everybody to confirm that he has read it').click()
    await say(page, 'Завтра в девять')
    await line(page, 'Завтра в девять').getByText('Confirmed: 0 of 1').waitFor()
    await button(pupil.page, 'Подтверждаю прочтение').click()
    await line(page, 'Завтра в девять').getByText('Confirmed: 1 of 1').click()
    await line(page, 'Завтра в девять').getByText('Read and confirmed: Пётр').waitFor()
    return { right: true, detail: '0 of 1, then 1 of 1' }
  })
  await step('both sign out; browsers and their nodes end', async () => {
    for (const { page } of [teacher, pupil]) await signOut(page)
    const left = await Promise.all([teacher, pupil].map(({ page }) => page.context().cookies()))
    // the node knows the browser again
    const isOver = !left.flat().some(({ name }) => name.startsWith('artel-session'))
    const browsers = await Promise.all([teacher, pupil].map(({ tabs }) => tabs.end()))
    const isGone = browsers.every(Boolean) && (await stage.end())
    return {
      right: isOver && isGone,
      detail: `${isOver ? 'no session' : 'a session'} and ${isGone ? 'no process' : 'a PROCESS'} is left`
    }
  })
}

/** Green with a white diagonal. */
function picture(): Buffer {
  const { width, height } = PICTURE
  const png = new PNG({ width, height })
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      png.data.set(
        Math.abs(x - (y * width) / height) < 4 ? [255, 255, 255, 255] : [30, 90, 60, 255],
        (y * width + x) * 4
      )
  return PNG.sync.write(png)
}
