import type { Locator, Page } from 'playwright-core'

/* What a person does on the page of the messenger, in English or Russian. */

/** Behind the address of a node. */
export const APP = '/messenger.html'

export const button = (page: Page, name: string | RegExp): Locator =>
  page.getByRole('button', typeof name === 'string' ? { name, exact: true } : { name })

/** With the name and the password of an account of the node. */
export async function signIn(page: Page, name: string, password: string): Promise<void> {
  await page.getByRole('tab', { name: /^(With your name|По имени)$/ }).click()
  await page.getByLabel(/^(Name|Имя)/).fill(name)
  await page.getByLabel(/^(Password|Пароль)/).fill(password)
  await button(page, /^(Sign in|Войти)$/).click()
  await page.getByRole('img', { name: /^(Live|Узел на связи)/ }).waitFor()
}

export async function signOut(page: Page): Promise<void> {
  await button(page, /^(Sign out|Выйти)$/).click()
  await page.getByRole('tab', { name: /^(With your name|По имени)$/ }).waitFor()
}

/** What was said in the chat that is open. */
export const lines = (page: Page): Locator => page.getByRole('list', { name: /^(Messages|Сообщения)$/ })
export const line = (page: Page, text: string): Locator =>
  lines(page).getByRole('listitem').filter({ hasText: text })

export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: /^(Write a message|Напишите сообщение)$/ }).fill(text)
  await button(page, /^(Send|Отправить)$/).click()
}

export async function attach(page: Page, name: string, bytes: Buffer): Promise<void> {
  const chooser = page.waitForEvent('filechooser')
  await button(page, /^(Send files|Отправить файлы)$/).click()
  await (await chooser).setFiles({ name, mimeType: 'application/octet-stream', buffer: bytes })
}

/** Resolves when the picture is drawn with this width: its bytes are here and are a picture. */
export async function seesPicture(page: Page, name: string, width: number): Promise<void> {
  const picture = await lines(page).getByRole('img', { name }).elementHandle()
  await page.waitForFunction(([image, wide]) => (image as HTMLImageElement).naturalWidth === wide, [
    picture,
    width
  ] as const)
}

/** Keeps a file that somebody sent, as a person does. What is in it. */
export async function keepFile(page: Page, name: string): Promise<Buffer> {
  const download = page.waitForEvent('download')
  await button(page, new RegExp(`^(Keep|Сохранить) ${RegExp.escape(name)}$`)).click()
  return Buffer.concat(await Array.fromAsync(await (await download).createReadStream()))
}
