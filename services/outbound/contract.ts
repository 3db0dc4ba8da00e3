/** Cookies of one visitor; they are asked for and told at every redirect. */
export interface Cookies {
  header(url: string): Promise<string>
  keep(setCookie: readonly string[], url: string): Promise<void>
}

/** What the host of a page said of the version that it gave (RFC 9110, 8.8): one of the two. */
export interface Validators {
  url: string
  etag?: string
  lastModified?: string
}

export interface FetchOptions {
  method?: 'GET' | 'POST'
  headers?: Readonly<Record<string, string>>
  body?: string | Uint8Array
  cookies?: Cookies
  signal: AbortSignal
  /** of all: waiting, redirects, body; default: 60 s */
  deadlineMs?: number
  /** after decompression; default: 20 MB */
  maxBytes?: number
  /**
   * As a robot among others: the host's robots.txt, one request at a time with a pause between two, and none while it said
   * not to. Default: true. False for what its owner asked for, such as a webhook.
   */
  isRobot?: boolean
  /** `name:port` of the only hosts that it may go to, also by redirects; default: every one outside */
  onlyHosts?: readonly string[]
  /** A copy that the caller has: where it is still right the answer is 304, without bytes. */
  known?: Validators
}

export interface Fetched {
  /** after redirects */
  url: string
  status: number
  /** small letters; of several of one name the last */
  headers: Readonly<Record<string, string>>
  bytes: Uint8Array
  /** of this version, for `known` of another fetch; absent where the host says none that tells one from another */
  validators?: Validators
}

/** A cookie as Chromium has it. */
export interface BrowserCookie {
  name: string
  value: string
  domain: string
  path: string
  [attribute: string]: unknown
}

/** A page in a browser. Selectors are CSS, and what they name is waited for. */
export interface Tab {
  /** Another page, as a person opens it: robots.txt is not asked. @returns its status */
  open(url: string): Promise<number>
  url(): Promise<string>
  /** as it is now. @throws {FetchTooLongError} */
  html(): Promise<string>
  waitFor(css: string): Promise<void>
  /** in what can be seen */
  expectText(text: string): Promise<void>
  /** @param origin the only site that it is entered at. @throws {FetchError} the page is of another one */
  fill(css: string, value: string, origin?: string): Promise<void>
  /** @param value of the option, or what it shows */
  select(css: string, value: string): Promise<void>
  /** with the mouse; where it leads to another page, that is there afterwards */
  click(css: string): Promise<void>
  cookies(): Promise<BrowserCookie[]>
  setCookies(cookies: readonly BrowserCookie[]): Promise<void>
}

export interface BrowseOptions {
  signal: AbortSignal
  /** of the browser, after the waits for the host and for another page; default: 60 s */
  deadlineMs?: number
  /** `name:port` of hosts inside that pages may reach, as far as they are open; default: that of the URL */
  hosts?: readonly string[]
}

/** The one way out of this node for HTTP. */
export interface Outbound {
  /**
   * Any status is an answer.
   *
   * @throws {ForbiddenAddressError} it leads inside, also by a redirect or by a name that changes
   * @throws {UnwelcomeError} robots.txt, or the host wants a longer pause than the deadline has
   * @throws {FetchTooLongError}
   * @throws {FetchOverdueError}
   * @throws {FetchError}
   */
  fetch(url: string, options: FetchOptions): Promise<Fetched>
  /**
   * Starts a Chromium behind walls for what is done in it, which is all that it lives for: robots.txt and the turn of the
   * URL's host are kept, and there is one browser at a time.
   *
   * @throws {BrowserError} it is switched off, missing, or has ended
   * @throws as `fetch`
   */
  browse<T>(url: string, options: BrowseOptions, work: (tab: Tab) => Promise<T>): Promise<T>
  /** Ends all connections. */
  close(): Promise<void>
}
