/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
  /** Hears what the service tells, `watch:changed`; undefined: something may have been missed. */
  listen(listener: (event: { type: string } | undefined) => void): () => void
}

export const WAYS = ['css', 'xpath', 'path', 'regex'] as const
export type Way = (typeof WAYS)[number]
export type Selector = Partial<Record<Way, string>> & { attribute?: string; as?: string }
export type Fields = Record<string, string>

export interface Rule {
  name: string
  urls: string[]
  pages?: number
  extract: { type?: string; rows: Selector; fields: Record<string, Selector> }
  key: string[]
  schedule?: string
  timeZone?: string
  [more: string]: unknown
}

export interface Outcome {
  at: number
  state: string
  reason?: string
  items: number
  changes: number
}

export interface RuleRow {
  id: string
  rule: Rule
  isPaused: boolean
  dueAt: number
  last?: Outcome
}

export interface ItemRow {
  rule: string
  key: string
  fields: Fields
  first: number
  last: number
  isGone: boolean
}

export interface EventRow {
  number: number
  rule: string
  at: number
  kind: string
  key: string
  old?: Fields
  new?: Fields
}

export interface Tested {
  at: number
  items: Fields[]
  count: number
  emptyFields: string[]
  doubt?: string
  changes: number
  sent: { subscription: string; events: number; text: string }[]
}

export const KINDS = ['new', 'changed', 'gone', 'returned'] as const
export const CONDITIONS = ['contains', 'matches', 'above', 'below'] as const
export type Condition = (typeof CONDITIONS)[number]

export interface Subscription {
  name: string
  rule?: string
  kinds: string[]
  query?: string
  when?: { field: string } & Partial<Record<Condition, string | number>>
  channel:
    | { kind: 'email'; to: string }
    | { kind: 'webhook'; url: string; secret: string }
    | { kind: 'messenger'; chat: string }
  digest?: string
  timeZone?: string
  heartbeat?: boolean
  first?: 'silent' | 'matching'
}

export interface SubscriptionRow {
  id: string
  subscription: Subscription
  cursor: number
  dueAt?: number
}

/** What the node answers about the pages that it watches. */
export function createApi(request: PageProps['request']) {
  async function asked(path: string, init?: RequestInit): Promise<Response> {
    const response = await request(`/watch${path}`, init)
    if (response.ok) return response
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new Error(problem.detail ?? `HTTP ${response.status}`)
  }
  const ask = async <T>(path: string, init?: RequestInit): Promise<T> => (await asked(path, init)).json()
  const send = <T>(method: string, path: string, body: object, signal?: AbortSignal): Promise<T> =>
    ask(path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal == null ? {} : { signal })
    })
  const at = encodeURIComponent
  const query = (values: Record<string, string | number | undefined>): string =>
    new URLSearchParams(
      Object.entries(values).flatMap(([key, value]) =>
        value === undefined || value === '' ? [] : [[key, String(value)]]
      )
    ).toString()

  return {
    rules: () => ask<{ items: RuleRow[] }>('/rules'),
    putRule: (id: string, rule: unknown, isPaused: boolean) =>
      send<RuleRow>('PUT', `/rules/${at(id)}`, { rule, isPaused }),
    removeRule: (id: string) => ask(`/rules/${at(id)}`, { method: 'DELETE' }),
    run: (id: string) => send<Outcome>('POST', `/rules/${at(id)}/run`, {}),
    test: (rule: unknown, id: string | undefined, signal: AbortSignal) =>
      send<{ fetches: Tested[] }>(
        'POST',
        '/rules/test',
        { rule, ...(id === undefined ? {} : { id }) },
        signal
      ),
    items: (q: string, rule: string, limit: number) =>
      ask<{ items: ItemRow[] }>(`/items?${query({ q, rule, limit })}`),
    csv: async (q: string, rule: string) => (await asked(`/items.csv?${query({ q, rule })}`)).blob(),
    events: (rule: string, before?: number) =>
      ask<{ items: EventRow[] }>(`/events?${query({ rule, before, limit: 50 })}`),
    subscriptions: () =>
      ask<{ items: SubscriptionRow[]; messages: Record<string, number> }>('/subscriptions'),
    subscribe: (id: string, subscription: Subscription) =>
      send('PUT', `/subscriptions/${at(id)}`, { subscription }),
    unsubscribe: (id: string) => ask(`/subscriptions/${at(id)}`, { method: 'DELETE' })
  }
}

export type Api = ReturnType<typeof createApi>
