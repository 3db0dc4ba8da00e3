import type { Action } from './actions.ts'

/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
}

type Value = string | number | boolean
export interface TvRow {
  agent: string
  name: string
  tags: Record<string, string>
  lamp: 'down' | 'tcp' | 'auth' | 'shell'
  reason?: string
  readings: Record<string, Value>
  bookings: { who: string; from: number; to: number; why: string }[]
}
export interface Outcome {
  tv: string
  is: string
  why?: string
}
export interface Field {
  label: string
  metric: string
  warn?: string
  bad?: string
}
export interface CardButton extends Action {
  label: string
  confirm: boolean
}
export interface Trigger {
  when: string
  hours: string[]
  for: number
  cooldown: number
  do: Action[]
}
export interface Card {
  name: string
  fields: Field[]
  buttons: CardButton[]
  triggers: Trigger[]
}
interface Issued {
  version: number
  on: string
  targets: { agent: string; tv: string }[]
  late: { agent: string; why?: string }[]
}
export type CardRow = Card & Issued
export interface CampaignRow {
  name: string
  version: number
  priority: number
  schedule: string[]
  start: number
  end: number
  files: number
  bytes: number
  tvs: { agent: string; tv: string; files: number; shown: number; isShowing: boolean; isReady: boolean }[]
  late: { agent: string; why?: string }[]
}
export interface Rehearsed {
  agent: string
  tv: string
  triggers: { when: string; at: number[] }[]
  why?: string
}
export interface NewCampaign {
  name: string
  on: string
  files: string[]
  end: string
  schedule: string[]
  priority: number
}

/** What the node answers about TVs. */
export function createApi(request: PageProps['request']) {
  async function get(path: string, init?: RequestInit): Promise<Response> {
    const response = await request(path, init)
    if (response.ok) return response
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new Error(problem.detail ?? `HTTP ${response.status}`)
  }
  const ask = async <T>(path: string, init?: RequestInit): Promise<T> =>
    (await get(path, init)).json() as Promise<T>
  const send = <T>(method: string, path: string, body: object): Promise<T> =>
    ask(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const at = encodeURIComponent

  return {
    tvs: (on: string) => ask<{ items: TvRow[]; silent: string[] }>(`/tv?on=${at(on)}`),
    do: (on: string, { operation, args }: Action) =>
      send<{ items: Outcome[] }>('POST', '/tv/do', { operation, on, args }),
    /** a small PNG, made that many seconds ago at most */
    picture: async (name: string, age = 0) =>
      (await get(`/tv/shot?on=${at(`name=${name}`)}&small=true&age=${age}`)).blob(),
    /** its screen as it is, see `tv.live` */
    live: async (name: string, signal: AbortSignal) =>
      (await get(`/tv/live?on=${at(`name=${name}`)}`, { signal })).body!,
    cards: () => ask<{ items: CardRow[] }>('/tv/cards'),
    setCard: ({ name, ...card }: Card & { on: string }) => send('PUT', `/tv/cards/${at(name)}`, card),
    endCard: (name: string) => ask(`/tv/cards/${at(name)}`, { method: 'DELETE' }),
    rehearse: (on: string, triggers: Trigger[]) =>
      send<{ items: Rehearsed[] }>('POST', '/tv/cards/rehearsal', { on, triggers, hours: 24 }),
    campaigns: () => ask<{ items: CampaignRow[] }>('/tv/campaigns'),
    setCampaign: ({ name, ...campaign }: NewCampaign) =>
      send<{ overlaps: { name: string; priority: number }[] }>('PUT', `/tv/campaigns/${at(name)}`, campaign),
    endCampaign: (name: string) => ask(`/tv/campaigns/${at(name)}`, { method: 'DELETE' })
  }
}

export type Api = ReturnType<typeof createApi>
