import { type BrowserCookie, hostOf, type Outbound, type Tab } from '../outbound/index.ts'
import { LoginError, PageError } from './errors.ts'
import type { Passwords } from './passwords.ts'
import { type Browser, pagesOf, type Rule, type Step } from './rule.ts'

export interface BrowseInit {
  outbound: Pick<Outbound, 'browse'>
  secrets: Pick<Passwords, 'forLogin'>
}

export interface BrowseOptions {
  signal: AbortSignal
  /** Asked before a login; throws where it may not be tried again yet. */
  onLogin(): void
  /** of the visit before, as `state` gave it */
  state: string | undefined
}

/**
 * Reads pages in Chromium, each in one of its own: cookies are all that goes from one to the next.
 *
 * @returns `read`, and `state` with the cookies as they are afterwards
 */
export function createBrowse({ outbound, secrets }: BrowseInit) {
  return (
    rule: Pick<Rule, 'urls' | 'pages'>,
    browser: Browser,
    { signal, onLogin, state }: BrowseOptions
  ) => {
    const { login } = browser
    const hosts = hostsOf(rule, browser)
    let cookies = cookiesOf(state)
    let isEntered = false

    const read = (url: string): Promise<{ url: string; html: string }> =>
      outbound.browse(url, { signal, hosts }, async tab => {
        await tab.setCookies(cookies)
        await open(tab, url)
        if (login != null && !isEntered && !(await tab.html()).includes(login.marker)) {
          onLogin()
          isEntered = true
          for (const step of login.steps) await take(tab, step)
          await open(tab, url)
        }
        for (const step of browser.steps) await take(tab, step)
        cookies = await tab.cookies()
        return { url: await tab.url(), html: await tab.html() }
      })

    return { read, state: (): string => JSON.stringify({ browser: cookies }) }
  }

  async function take(tab: Tab, step: Step): Promise<void> {
    if ('open' in step) return open(tab, step.open)
    if ('select' in step) return tab.select(step.select, step.value)
    if ('click' in step) return tab.click(step.click)
    if ('waitFor' in step) return tab.waitFor(step.waitFor)
    if ('expectText' in step) return tab.expectText(step.expectText)
    if ('value' in step) return tab.fill(step.fill, step.value)
    await tab.waitFor(step.fill)
    const url = await tab.url()
    await tab.fill(step.fill, await secrets.forLogin(step.secret, url), new URL(url).origin)
  }
}

async function open(tab: Tab, url: string): Promise<void> {
  const status = await tab.open(url)
  if (status < 200 || status > 299) throw new PageError(`${url} answers ${status}`)
}

/** Hosts that a rule names. @throws {LoginError} an address that is none */
function hostsOf(rule: Pick<Rule, 'urls' | 'pages'>, { login, steps }: Browser): string[] {
  const opened = [...(login?.steps ?? []), ...steps].flatMap(step => ('open' in step ? [step.open] : []))
  const hosts = [...pagesOf(rule), ...opened].map(text => {
    const url = URL.parse(text)
    if (url == null) throw new LoginError(`${text.slice(0, 200)} is no address`)
    return hostOf(url)
  })
  return [...new Set(hosts)]
}

/** None where the rule was one of plain HTTP before. */
function cookiesOf(state: string | undefined): BrowserCookie[] {
  if (state == null) return []
  return (JSON.parse(state) as { browser?: BrowserCookie[] }).browser ?? []
}
