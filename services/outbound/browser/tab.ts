import { setTimeout as delay } from 'node:timers/promises'
import type { BrowserCookie, Tab } from '../contract.ts'
import { FetchError, FetchTooLongError } from '../errors.ts'
import type { Cdp } from './cdp.ts'

const LOOK_MS = 100
/** Once its text is there, pictures and the like are waited for so long. */
const QUIET_MS = 10_000
const WAIT_MS = 20_000

interface Evaluated {
  result: { value?: unknown }
  exceptionDetails?: { text: string; exception?: { description?: string } }
}

/** A page of its own, in a browser that was just started. */
export async function openTab(
  { send, on }: Cdp,
  { maxChars, signal }: { maxChars: number; signal: AbortSignal }
): Promise<Tab> {
  const { targetId } = await send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await send<{ sessionId: string }>('Target.attachToTarget', {
    targetId,
    flatten: true
  })
  const call = <T>(method: string, params?: object): Promise<T> => send<T>(method, params, sessionId)
  let read = Promise.withResolvers<void>()
  let loaded = Promise.withResolvers<void>()
  /** A document goes, and another one comes, for which who waited for the first waits now. */
  function leave(): void {
    const before = [read.resolve, loaded.resolve] as const
    read = Promise.withResolvers()
    loaded = Promise.withResolvers()
    read.promise.then(before[0])
    loaded.promise.then(before[1])
  }
  // a page has the id of its main frame
  on('Page.frameStartedLoading', ({ frameId }: { frameId: string }) => {
    if (frameId === targetId) leave()
  })
  on('Page.domContentEventFired', () => read.resolve())
  on('Page.loadEventFired', () => {
    read.resolve()
    loaded.resolve()
  })
  on('Page.javascriptDialogOpening', () => {
    // who asks is told no; that the page has gone meanwhile is nobody's error
    call('Page.handleJavaScriptDialog', { accept: false }).catch(() => {})
  })
  await Promise.all([send('Browser.setDownloadBehavior', { behavior: 'deny' }), call('Page.enable')])

  /**
   * What a function says in the document, in a world of its own: what the page has made of the built-in objects is not there.
   *
   * @param work self-contained; travels by its source text
   */
  async function ask<A extends unknown[], T>(work: (...args: A) => T, ...args: A): Promise<T> {
    const { executionContextId } = await call<{ executionContextId: number }>('Page.createIsolatedWorld', {
      frameId: targetId
    })
    const { result, exceptionDetails } = await call<Evaluated>('Runtime.evaluate', {
      expression: `(${work})(...${JSON.stringify(args)})`,
      contextId: executionContextId,
      returnByValue: true
    })
    if (exceptionDetails == null) return result.value as T
    const { exception, text } = exceptionDetails
    throw new FetchError((exception?.description ?? text).split('\n')[0]!.slice(0, 300))
  }

  /** Until a function says something; a document that goes away meanwhile says nothing. */
  async function until<A extends unknown[], T>(
    what: string,
    work: (...args: A) => T,
    ...args: A
  ): Promise<NonNullable<T>> {
    let failure: Error | undefined
    for (const endAt = Date.now() + WAIT_MS; ; await delay(LOOK_MS, undefined, { signal })) {
      try {
        const said = await ask(work, ...args)
        if (said) return said
        failure = undefined
      } catch (error) {
        failure = error as Error
      }
      if (Date.now() > endAt)
        throw new FetchError(
          `${what} is not there after ${WAIT_MS / 1000} s${failure ? `: ${failure.message}` : ''}`
        )
    }
  }

  async function settled(): Promise<void> {
    await read.promise
    await Promise.race([loaded.promise, delay(QUIET_MS, undefined, { signal, ref: false })])
  }

  async function open(url: string): Promise<number> {
    leave()
    const { errorText } = await call<{ errorText?: string }>('Page.navigate', { url })
    if (errorText != null) throw new FetchError(`${url}: ${errorText}`)
    await settled()
    return ask(
      () => (performance.getEntriesByType('navigation')[0] as PerformanceNavigationTiming).responseStatus
    )
  }

  return {
    open,
    url: () => ask(() => location.href),

    async html() {
      const text = await ask(max => {
        const html = document.documentElement.outerHTML
        return html.length > max ? null : html
      }, maxChars)
      if (text == null) throw new FetchTooLongError(`the page has more than ${maxChars} characters`)
      return text
    },

    waitFor: async css => void (await until(css, each => document.querySelector(each) != null, css)),
    expectText: async text =>
      // biome-ignore lint/performance/useDomNodeTextContent: what is hidden does not count
      void (await until(`"${text}"`, each => document.body.innerText.includes(each), text)),

    async fill(css, value, origin) {
      await until(
        css,
        (each, text, site) => {
          const field = document.querySelector<HTMLInputElement | HTMLTextAreaElement>(each)
          if (field == null) return false
          // the page may have become another since it was looked at
          if (site != null && location.origin !== site) throw new Error(`the page is of ${location.origin}`)
          field.focus()
          field.value = text
          for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }))
          return true
        },
        css,
        value,
        origin
      )
    },

    async select(css, value) {
      await until(
        `${css} with ${value}`,
        (each, wanted) => {
          const list = document.querySelector<HTMLSelectElement>(each)
          const option = [...(list?.options ?? [])].find(
            ({ value, label }) => value === wanted || label === wanted
          )
          if (option == null) return false
          list!.value = option.value
          for (const kind of ['input', 'change']) list!.dispatchEvent(new Event(kind, { bubbles: true }))
          return true
        },
        css,
        value
      )
    },

    async click(css) {
      const { x, y } = await until(
        css,
        each => {
          const element = document.querySelector(each)
          element?.scrollIntoView({ block: 'center', behavior: 'instant' })
          const { left, top, width = 0, height = 0 } = element?.getBoundingClientRect() ?? {}
          return width * height === 0 ? null : { x: left! + width / 2, y: top! + height / 2 }
        },
        css
      )
      const press = { x, y, button: 'left', clickCount: 1 }
      for (const type of ['mousePressed', 'mouseReleased'])
        await call('Input.dispatchMouseEvent', { type, ...press })
      // where it leads to another page, that one comes first
      await delay(LOOK_MS, undefined, { signal })
      await settled()
    },

    async cookies() {
      const { cookies } = await send<{ cookies: BrowserCookie[] }>('Storage.getCookies')
      return cookies
    },
    async setCookies(cookies) {
      if (cookies.length > 0) await send('Storage.setCookies', { cookies })
    }
  }
}
