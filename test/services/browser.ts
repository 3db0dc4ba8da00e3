import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import axe from 'axe-core'
import { type BrowserContext, chromium, type Page } from 'playwright-core'

const CHROMIUM = '/usr/bin/chromium'
/** It talks to nobody but the pages of the test. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]

export interface BrowserOptions {
  locale?: string
  colorScheme?: 'light' | 'dark'
}

/** A page of Debian's Chromium with a profile of its own. */
export interface Browser {
  page: Page
  context: BrowserContext
  /** errors in the console and exceptions so far */
  errors: string[]
  /** hosts that were asked for something */
  hosts: Set<string>
  close(): Promise<void>
}

export async function openBrowser({
  locale = 'en-GB',
  colorScheme = 'light'
}: BrowserOptions = {}): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'artel-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: ARGS,
    locale,
    colorScheme,
    viewport: { width: 1280, height: 800 }
  })
  const page = context.pages()[0] ?? (await context.newPage())
  const errors: string[] = []
  const hosts = new Set<string>()
  page.on('console', message => {
    if (message.type() === 'error') errors.push(`${message.text()} (${message.location().url})`)
  })
  page.on('pageerror', error => errors.push(error.stack ?? error.message))
  page.on('request', request => {
    const { protocol, host } = new URL(request.url())
    if (protocol.startsWith('http')) hosts.add(host)
  })
  return {
    page,
    context,
    errors,
    hosts,
    async close() {
      await context.close()
      await rm(profile, { recursive: true, force: true })
    }
  }
}

/** What axe finds serious or critical on the page as it is, one line each. */
export async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run(document, { resultTypes: ['violations'] })
  )
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => {
      const [node] = nodes
      return `${id}: ${node?.html.slice(0, 160)} ${node?.failureSummary?.replaceAll('\n', ' ')}`
    })
}
