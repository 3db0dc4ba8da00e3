/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
}

export interface Measure {
  name: string
  value: number
  limit: number
  unit: 'MB' | 'users' | 'ms' | 'share'
  isOver: boolean
  /** of what it consists */
  parts?: Record<string, number>
}

export interface Status {
  items: Measure[]
  cache: { entries: number; bytes: number; hotBytes: number }
}

/** Amounts are micro-credits, as decimal strings. */
export interface UserRow {
  id: string
  name: string
  /** absent: as everybody */
  quota?: string
  spent: string
  held: string
  seen: number
}

export type By = 'day' | 'user' | 'model'

export interface SpendingRow {
  key: string
  calls: number
  saved: number
  cost: string
}

export interface ProviderRow {
  name: string
  provider: { url?: string; peer?: string; isSold: boolean; models: { id: string }[] }
}

/** What the node answers about its assistant. */
export function createApi(request: PageProps['request']) {
  async function ask<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await request(`/assistant${path}`, init)
    if (response.ok) return (await response.json()) as T
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new Error(problem.detail ?? `HTTP ${response.status}`)
  }
  const user = (id: string): string => `/users/${encodeURIComponent(id)}`

  return {
    status: () => ask<Status>('/status'),
    providers: () => ask<{ items: ProviderRow[] }>('/providers'),
    users: () => ask<{ items: UserRow[] }>('/users'),
    spending: (days: number, by: By) =>
      ask<{ items: SpendingRow[] }>(`/spending?${new URLSearchParams({ days: String(days), by })}`),
    /** @param micro undefined: as everybody */
    setQuota: (id: string, micro: bigint | undefined) =>
      ask(user(id), {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(micro == null ? {} : { credits: String(micro) })
      }),
    forget: (id: string) => ask(user(id), { method: 'DELETE' })
  }
}

export type Api = ReturnType<typeof createApi>
