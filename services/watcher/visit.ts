import { createHash } from 'node:crypto'
import { CookieJar } from 'tough-cookie'
import type { Secrets } from '../host/index.ts'
import type { Cookies, Fetched, Outbound } from '../outbound/index.ts'
import { decodeText } from './decode.ts'
import { LoginError, PageError } from './errors.ts'
import type { Extractor } from './extract/extractor.ts'
import type { Passwords } from './passwords.ts'
import { type Login, pagesOf, type Rule } from './rule.ts'
import type { Page } from './store.ts'

export interface VisitInit {
  outbound: Outbound
  extractor: Pick<Extractor, 'form'>
  secrets: Pick<Passwords, 'forLogin'>
  /** of those who are logged in, by the rule's id */
  cookies: Secrets
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
}

const MIN_MASKED = 4
/** of all pages of a visit, which are in memory together */
const MOST_BYTES = 100_000_000

export type Visit = (rule: Pick<Rule, 'urls' | 'pages' | 'login'>, options: VisitOptions) => Promise<Page[]>

/**
 * Fetches the pages of a rule, one after the other, and enters the site where a page lacks the marker. Never more than
 * once in a visit.
 */
export function createVisit({ outbound, extractor, secrets, cookies, now }: VisitInit): Visit {
  return async (rule, { id, signal, onLogin, onlyHosts }) => {
    const { login } = rule
    const jar = await openJar(await cookies.read(id))
    const visitor = cookiesOf(jar)
    const at = now()
    const masked = login == null ? [] : await secretsOf(login)
    let isEntered = false
    let bytes = 0
    const pages: Page[] = []
    for (const url of pagesOf(rule)) {
      let page = await get(url)
      if (login != null && !isEntered && !page.text.includes(login.marker)) {
        onLogin()
        await enter(login, visitor, signal)
        isEntered = true
        page = await get(url)
      }
      pages.push(page)
    }
    if (login != null) await cookies.set(id, JSON.stringify(await jar.serialize()))
    return pages

    async function get(url: string): Promise<Page> {
      const fetched = await outbound.fetch(url, { signal, cookies: visitor, onlyHosts })
      if (fetched.status < 200 || fetched.status > 299)
        throw new PageError(`${url} answers ${fetched.status}`)
      bytes += fetched.bytes.byteLength
      if (bytes > MOST_BYTES)
        throw new PageError(`${url}: the pages of a rule may have ${MOST_BYTES} bytes together`)
      const hash = createHash('sha256').update(fetched.bytes).digest('hex')
      return { at, url: fetched.url, hash, text: mask(textOf(fetched), masked) }
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
      await outbound.fetch(target.href, usual)
      return
    }
    const headers = { 'content-type': 'application/x-www-form-urlencoded', referer: page.url }
    await outbound.fetch(target.href, { ...usual, method: 'POST', body, headers })
  }

  function secretsOf({ url, fill }: Login): Promise<string[]> {
    const names = Object.values(fill).flatMap(each => ('secret' in each ? [each.secret] : []))
    return Promise.all(names.map(name => secrets.forLogin(name, url)))
  }
}

const textOf = ({ bytes, headers }: Fetched): string => decodeText(bytes, headers['content-type'])

/** Pages are kept, passwords in them are not. */
const mask = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter(({ length }) => length >= MIN_MASKED)
    .reduce((all, secret) => all.replaceAll(secret, '***'), text)

const openJar = (text: string | undefined): Promise<CookieJar> | CookieJar =>
  text == null ? new CookieJar() : CookieJar.deserialize(text)

const cookiesOf = (jar: CookieJar): Cookies => ({
  header: url => jar.getCookieString(url),
  async keep(setCookie, url) {
    // one that is not well formed, or of another site, is not kept
    for (const cookie of setCookie) await jar.setCookie(cookie, url, { ignoreError: true })
  }
})
