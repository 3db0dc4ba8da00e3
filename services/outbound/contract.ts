/** Cookies of one visitor; they are asked for and told at every redirect. */
export interface Cookies {
  header(url: string): Promise<string>
  keep(setCookie: readonly string[], url: string): Promise<void>
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
}

export interface Fetched {
  /** after redirects */
  url: string
  status: number
  /** small letters; of several of one name the last */
  headers: Readonly<Record<string, string>>
  bytes: Uint8Array
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
  /** Ends all connections. */
  close(): Promise<void>
}
