import { createHash } from 'node:crypto'
import { CookieJar } from 'tough-cookie'
import type { Secrets } from '../host/index.ts'
import type { Cookies, Fetched, Outbound } from '../outbound/index.ts'
import { createBrowse } from './browse.ts'
import { decodeText } from './decode.ts'
import { LoginError, PageError } from './errors.ts'
import type { Extractor } from './extract/extractor.ts'
import type { Passwords } from './passwords.ts'
import { createRecent, type Read } from './recent.ts'
import { type Browser, type Login, pagesOf, type Rule } from './rule.ts'
import type { KnownPage, Page } from './store.ts'

export interface VisitInit {
  outbound: Outbound
  extractor: Pick<Extractor, 'form'>
  secrets: Pick<Passwords, 'forLogin' | 'values'>
  /** of those who are logged in, by the rule's id */
  cookies: Secrets
  /** how long a page that came for one rule serves others of the same address */
  keptMs(): number
  now(): number
}

export interface VisitOptions {
  /** id of the rule */
  id: string
  signal: AbortSignal
  /** Asked before a login; throws where it may not be tried again yet. */
  onLogin(): void
  /** see `FetchOptions` of outbound; default: all */
  onlyHosts?: readonly string[]
  /** of the visit before, in the order of the rule; what is still the same need not come again */
  known?: readonly KnownPage[]
  /** end of the visit before, ms since 1970: a page that came for somebody else since then does; default: none does */
  after?: number
}

const MIN_MASKED = 4
/** A host that names every version alike would hide all changes: so often each page comes anyway. */
const TRUSTED_MS = 24 * 3_600_000
/** of all pages of a visit, which are in memory together */
const MOST_BYTES = 100_000_000

export type Visit = (
  rule: Pick<Rule, 'urls' | 'pages' | 'login' | 'browser'>,
  options: VisitOptions
) => Promise<Page[]>

/**
 * Fetches the pages of a rule, one after the other, and enters the site where a page lacks the marker. Never more than
 * once in a visit.
 */
export function createVisit({ outbound, extractor, secrets, cookies, keptMs, now }: VisitInit): Visit {
  const browse = createBrowse({ outbound, secrets })
  const recent = createRecent({ keptMs, now })

  return async (rule, options) => {
    const at = now()
    const state = await cookies.read(options.id)
    const { read, keep } =
      rule.browser == null
        ? await overHttp(rule.login, state, options)
        : inBrowser(rule, rule.browser, state, options)
    const masked = await secrets.values(secretsOf(rule))
    let bytes = 0
    const pages: Page[] = []
    for (const [i, address] of pagesOf(rule).entries()) {
      const { bytes: taken, text, ...page } = await read(address, options.known?.[i])
      bytes += taken
      if (bytes > MOST_BYTES)
        throw new PageError(`${address}: the pages of a rule may have ${MOST_BYTES} bytes together`)
      pages.push({ at, ...page, url: mask(page.url, masked), text: mask(text, masked) })
    }
    const kept = await keep()
    if (kept != null) await cookies.set(options.id, kept)
    return pages
  }

  function inBrowser(
    rule: Pick<Rule, 'urls' | 'pages'>,
    browser: Browser,
    before: string | undefined,
    { signal, onLogin }: VisitOptions
  ) {
    const { read, state } = browse(rule, browser, { signal, onLogin, state: before })
    return {
      async read(address: string): Promise<Read> {
        const { url, html } = await read(address)
        return { url, text: html, bytes: Buffer.byteLength(html), hash: sha256(html) }
      },
      keep: async () => (browser.login == null ? undefined : state())
    }
  }

  async function overHttp(
    login: Login | undefined,
    before: string | undefined,
    { signal, onLogin, onlyHosts, after }: VisitOptions
  ) {
    // one that is for another site is said before anybody is asked
    if (login != null) await Promise.all(secretsOf({ login }).map(name => secrets.forLogin(name, login.url)))
    // of a rule that had a login before nothing is left
    const jar = await openJar(login == null ? undefined : before)
    const visitor = cookiesOf(jar)
    const isUnknown = async (): Promise<boolean> => (await jar.store.getAllCookies()).length === 0
    let isEntered = false

    async function get(address: string, before?: KnownPage): Promise<Read> {
      const asked = before?.validators
      const known = asked != null && asked.since + TRUSTED_MS > now() ? asked : undefined
      const fetched = await outbound.fetch(address, { signal, cookies: visitor, onlyHosts, known })
      const { url, status, bytes, validators } = fetched
      const text = status === 304 && known != null ? before?.text() : undefined
      if (text != null)
        return { url, text, bytes: Buffer.byteLength(text), hash: before!.hash, validators: known }
      if (status < 200 || status > 299) throw new PageError(`${address} answers ${status}`)
      return {
        url,
        text: textOf(fetched),
        bytes: bytes.byteLength,
        hash: sha256(bytes),
        validators: validators && { ...validators, since: now() }
      }
    }

    return {
      async read(address: string, before?: KnownPage): Promise<Read> {
        if (login == null && (await isUnknown()))
          return recent(`${address} ${onlyHosts ?? ''}`, { after, known: before, signal }, async known => ({
            page: await get(address, known),
            isCommon: await isUnknown()
          }))
        const page = await get(address, before)
        if (login == null || isEntered || page.text.includes(login.marker)) return page
        onLogin()
        await enter(login, visitor, signal)
        isEntered = true
        return get(address)
      },
      keep: async () => (login == null ? undefined : JSON.stringify(await jar.serialize()))
    }
  }

  async function enter(login: Login, visitor: Cookies, signal: AbortSignal): Promise<void> {
    const usual = { signal, cookies: visitor, isRobot: false }
    const page = await outbound.fetch(login.url, usual)
    const form = await extractor.form(textOf(page), login.form, signal)
    const fields = new Map(form.fields)
    for (const [name, fill] of Object.entries(login.fill))
      fields.set(name, 'secret' in fill ? await secrets.forLogin(fill.secret, login.url) : fill.value)
    const body = new URLSearchParams([...fields]).toString()
    const target = URL.parse(form.action, page.url)
    // a form that a stranger wrote must not carry the password away
    if (target == null || target.origin !== new URL(login.url).origin)
      throw new LoginError(
        `the form at ${page.url} would be sent to ${form.action.slice(0, 200)}, another site`
      )
    if (form.method === 'GET') {
      target.search = body
      try {
        await outbound.fetch(target.href, usual)
      } catch (error) {
        signal.throwIfAborted()
        // an error names the address that it is about, and this one has the password
        throw new LoginError((error as Error).message.replaceAll(target.search, ''))
      }
      return
    }
    const headers = { 'content-type': 'application/x-www-form-urlencoded', referer: page.url }
    await outbound.fetch(target.href, { ...usual, method: 'POST', body, headers })
  }
}

/** Names of those that a rule enters somewhere. */
const secretsOf = ({ login, browser }: Pick<Rule, 'login' | 'browser'>): string[] =>
  [...Object.values(login?.fill ?? {}), ...(browser?.login?.steps ?? []), ...(browser?.steps ?? [])].flatMap(
    each => ('secret' in each ? [each.secret] : [])
  )

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

const textOf = ({ bytes, headers }: Fetched): string => decodeText(bytes, headers['content-type'])

/** Pages are kept, passwords in them are not, also as HTML, links and forms write them. */
const mask = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter(({ length }) => length >= MIN_MASKED)
    .flatMap(secret => [
      secret,
      escapeHtml(secret),
      escapeHtml(secret).replaceAll('"', '&quot;'),
      encodeURIComponent(secret),
      new URLSearchParams([['', secret]]).toString().slice(1)
    ])
    .reduce((all, secret) => all.replaceAll(secret, '***'), text)

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** An empty one where the rule was one of a browser before. */
function openJar(text: string | undefined): Promise<CookieJar> | CookieJar {
  const kept = text == null ? {} : JSON.parse(text)
  return 'cookies' in kept ? CookieJar.deserialize(kept) : new CookieJar()
}

const cookiesOf = (jar: CookieJar): Cookies => ({
  header: url => jar.getCookieString(url),
  async keep(setCookie, url) {
    // one that is not well formed, or of another site, is not kept
    for (const cookie of setCookie) await jar.setCookie(cookie, url, { ignoreError: true })
  }
})
