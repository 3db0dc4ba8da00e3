import type { ComponentType } from 'react'

/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
  /** Hears what the service tells, `devices:<topic>`; undefined: something may have been missed. */
  listen(listener: (event: { type: string } | undefined) => void): () => void
  Chart: ComponentType<{
    label: string
    data: (number | null)[][]
    names: string[]
    isTime?: boolean
    format: (value: number) => string
  }>
}

export type Risk = 0 | 1 | 2 | 3

export interface DeviceRow {
  agent: string
  id: string
  about?: {
    kind?: string
    serial?: string
    name?: string
    readings?: Record<string, { type: string; unit?: string }>
    commands?: Record<string, { summary: string; risk: Risk; args?: string[] }>
  }
  readings: Record<string, unknown>
  readAt?: number
  eventAt?: number
}
export interface Point {
  t: number
  min: number
  max: number
  mean: number
}
export interface EventRow {
  agent: string
  number: number
  seq: number
  at: number
  kind: string
  body: Record<string, unknown>
}
export type Severity = 'info' | 'warning' | 'critical'
export interface AlertRow {
  key: string
  rule: string
  agent: string
  device: string
  severity: Severity
  state: 'pending' | 'firing' | 'acknowledged' | 'resolved'
  value: unknown
  count: number
  openedAt: number
  acknowledgedBy?: string
  escalatedAt?: number
  note?: string
}
export interface RuleRow {
  name: string
  devices: string
  reading?: string
  above?: number
  below?: number
  clear?: number
  perSeconds?: number
  absentSeconds?: number
  event?: string
  field?: string
  equals?: string
  forSeconds: number
  severity: Severity
  escalateMinutes?: number
}
export interface SilenceRow {
  id: number
  devices: string
  rule?: string
  until: number
  why: string
  by: string
}
export interface Status {
  fleet: string
  own: { number: number; last: number; delivered: number }
  witnesses: { peer: string; seq: number; at?: number; error?: string; isHashOnly: boolean }[]
  chains: {
    agent: string
    number: number
    first: number
    last: number
    bytes: number
    missing: number
    ahead: number
    isForked: boolean
  }[]
  bytes: number
  budgetBytes: number
  pressure: 'none' | 'thin' | 'account'
}
export interface Reconciliation {
  isRight: boolean
  items: {
    agent: string
    number: number
    rows: number
    missing: number
    wrong: number
    unknown: number
  }[]
}

export interface SettingRow {
  agent?: string
  devices: string
  values: Record<string, number | string | boolean>
}
export interface GrantRow {
  peer: string
  devices: string
  commands: string[]
  risk: Risk
  perDay?: number
  until?: number
}
export interface Wishes {
  agents: string[]
  groups: Record<string, string[]>
  settings: SettingRow[]
  grants: GrantRow[]
  release?: unknown
}
export interface AgentRow {
  agent: string
  version?: number
  isRight: boolean
  heardAt?: number
  error?: string
  state?: {
    settings: { device: string; name: string; wanted: unknown; actual?: unknown; why?: string }[]
    release?: { version?: string; wanted?: string; isOnTrial: boolean; why?: string }
  }
}
export interface FleetAnswer {
  fleet: string
  version: number
  isOwner: boolean
  owners: string[]
  by?: string
  at?: number
  wishes?: Wishes
  agents: AgentRow[]
}
export interface Proposal {
  id: string
  isOwn: boolean
  peer: string
  by: string
  device: string
  name: string
  args: Record<string, unknown>
  expires: number
}
export interface Outcome {
  is: string
  why?: string
  result?: unknown
}

/** What the node answers about devices. */
export function createApi(request: PageProps['request']) {
  async function ask<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await request(path, init)
    if (response.ok) return (await response.json()) as T
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new Error(problem.detail ?? `HTTP ${response.status}`)
  }
  const send = <T>(method: string, path: string, body: object): Promise<T> =>
    ask(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const remove = (path: string): Promise<unknown> => ask(path, { method: 'DELETE' })
  const at = encodeURIComponent
  const query = (values: Record<string, string | number>): string =>
    new URLSearchParams(Object.entries(values).map(([key, value]) => [key, String(value)])).toString()

  return {
    devices: () => ask<{ items: DeviceRow[] }>('/devices'),
    history: (device: string, reading: string, step: 'minute' | 'hour', from: number, to: number) =>
      ask<{ points: Point[] }>(`/devices/history?${query({ device, reading, step, from, to })}`),
    events: (device: string) => ask<{ items: EventRow[] }>(`/devices/events?${query({ device, limit: 50 })}`),
    alerts: () => ask<{ items: AlertRow[] }>(`/devices/alerts?${query({ limit: 200 })}`),
    acknowledge: (key: string) => send('POST', `/devices/alerts/${at(key)}/acknowledge`, {}),
    rules: () => ask<{ items: RuleRow[] }>('/devices/rules'),
    setRule: ({ name, ...rule }: Partial<RuleRow> & { name: string }) =>
      send('PUT', `/devices/rules/${at(name)}`, rule),
    removeRule: (name: string) => remove(`/devices/rules/${at(name)}`),
    silences: () => ask<{ items: SilenceRow[] }>('/devices/silences'),
    silence: (devices: string, minutes: number, why: string) =>
      send('POST', '/devices/silences', { devices, minutes, why }),
    endSilence: (id: number) => remove(`/devices/silences/${id}`),
    fleet: () => ask<FleetAnswer>('/devices/fleet'),
    setFleet: (wishes: Wishes, after: number) => send('PUT', '/devices/fleet', { wishes, after }),
    command: (wanted: {
      device: string
      agent: string
      name: string
      args: Record<string, unknown>
      second?: string
    }) => send<Outcome>('POST', '/devices/commands', wanted),
    proposals: () => ask<{ items: Proposal[] }>('/devices/proposals'),
    approve: (id: string) => send<Outcome>('POST', `/devices/proposals/${at(id)}/approve`, {}),
    dismiss: (id: string) => remove(`/devices/proposals/${at(id)}`),
    status: () => ask<Status>('/devices/status'),
    reconcile: () => ask<Reconciliation>('/devices/reconciliation')
  }
}

export type Api = ReturnType<typeof createApi>
