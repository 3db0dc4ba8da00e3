import { follow } from '../../host/page/follow.ts'

/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
}

export interface MachineRow {
  line: string
  address: number
  isUp: boolean
  serial?: string
  heardAt?: number
  exceptions: number
}
export interface PaymentRow {
  id: string
  machine: string
  does: string
  amount: string
  at: number
  is: string
  why?: string
}
export interface SetRow {
  name: string
  polls: number
  isControl: boolean
  why?: string
}
/** What a machine said to a poll of a set, and how many polls of how many are over. */
export interface SetProgress {
  machine: string
  item: { poll: string; is: string; frame?: string; values?: Record<string, number | string> }
  done: number
  total: number
}
/** An entry of the log of devices. */
export interface Entry {
  agent: string
  number: number
  seq: number
  at: number
  kind: string
  body: Record<string, unknown>
}
interface DeviceRow {
  id: string
  readings: Record<string, unknown>
}

const PAGE = 1000
/** A day of a busy machine; what is before it is said to be left out. */
const MAX_ENTRIES = 50_000

/** What the node answers about machines. */
export function createApi(request: PageProps['request']) {
  async function ask<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await request(path, init)
    if (response.ok) return (await response.json()) as T
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new Error(problem.detail ?? `HTTP ${response.status}`)
  }
  return {
    machines: () => ask<{ items: MachineRow[] }>('/sas/machines'),
    sets: () => ask<{ items: SetRow[] }>('/sas/sets'),
    /** At one machine, or at all that answer. */
    run: (set: string, machine: string | undefined, onProgress: (progress: SetProgress) => void) =>
      follow(request, `/sas/sets/${set}`, { machine }, { onProgress }),
    payments: () => ask<{ items: PaymentRow[] }>('/sas/payments'),
    decide: (id: string, is: 'done' | 'failed', why: string) =>
      ask(`/sas/payments/${id}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ is, why })
      }),
    /** newest readings, by serial number */
    async readings(): Promise<Map<string, Record<string, unknown>>> {
      const { items } = await ask<{ items: DeviceRow[] }>('/devices')
      return new Map(
        items.filter(({ id }) => id.startsWith('sas:')).map(({ id, readings }) => [id.slice(4), readings])
      )
    },
    /** What the log says of a machine since `from` (ms since 1970), in its order. */
    async entries(serial: string, from: number): Promise<Entry[]> {
      const found = new Map<string, Entry>()
      let before: number | undefined
      while (found.size < MAX_ENTRIES) {
        const query = new URLSearchParams({ device: `sas:${serial}`, limit: String(PAGE) })
        if (before !== undefined) query.set('before', String(before))
        const { items } = await ask<{ items: Entry[] }>(`/devices/events?${query}`)
        const size = found.size
        for (const each of items)
          if (each.at >= from) found.set(`${each.agent} ${each.number} ${each.seq}`, each)
        const oldest = items.at(-1)
        if (oldest === undefined || items.length < PAGE || oldest.at < from || found.size === size) break
        // those of the same moment come again, and count once
        before = oldest.at + 1
      }
      return inOrder([...found.values()])
    }
  }
}

/** As each board wrote them; a board that took the place of another one comes behind it. Pure. */
export function inOrder(entries: readonly Entry[]): Entry[] {
  const since = new Map<string, number>()
  for (const { agent, at } of entries) since.set(agent, Math.min(at, since.get(agent) ?? at))
  return entries.toSorted(
    (a, b) =>
      since.get(a.agent)! - since.get(b.agent)! ||
      a.agent.localeCompare(b.agent) ||
      a.number - b.number ||
      a.seq - b.seq
  )
}

export type Api = ReturnType<typeof createApi>
