import type { PageProps } from './props.ts'
import type {
  Announced,
  Backup,
  Card,
  CarriedIn,
  Certified,
  Chat,
  Cleaned,
  DeviceCode,
  Finding,
  Found,
  Guide,
  Imported,
  Invitation,
  Kept,
  Line,
  LogName,
  Pins,
  Policy,
  Presence,
  Program,
  Reported,
  Restored,
  Revoked,
  SentFile,
  Stats,
  Status,
  User
} from './wire.ts'

export const PAGE_LINES = 100
const DEADLINE_MS = 30_000
/** Of what decides something with other nodes, or moves a file. */
const LONG_MS = 300_000
/** Of a file on a stick. */
const CARRY_MS = 3_600_000

/** The node answered, and said no. */
export class RefusedError extends Error {
  override name = 'RefusedError'
  readonly status: number
  /** ms, where it says when to come again */
  readonly retryMs: number | undefined

  constructor(status: number, detail: string, retryMs?: number) {
    super(detail)
    this.status = status
    this.retryMs = retryMs
  }
}

export interface NewMessage {
  group: string
  text: string
  reply?: string
  confirm?: boolean
}
type Language = PageProps['language']
type Items<T> = { items: T[] }

/** What the node answers about chats, people, and its own state. */
export function createApi(request: PageProps['request']) {
  async function answerOf(path: string, init: RequestInit = {}, deadlineMs = DEADLINE_MS): Promise<Response> {
    const response = await request(path, { ...init, signal: AbortSignal.timeout(deadlineMs) })
    if (response.ok) return response
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    throw new RefusedError(
      response.status,
      problem.detail ?? `HTTP ${response.status}`,
      Number.isFinite(seconds) ? seconds * 1000 : undefined
    )
  }
  const ask = async <T>(path: string, init?: RequestInit, deadlineMs?: number): Promise<T> =>
    (await answerOf(path, init, deadlineMs)).json() as Promise<T>
  const send = <T>(
    method: string,
    path: string,
    body: object,
    headers: Record<string, string> = {},
    deadlineMs = LONG_MS
  ): Promise<T> =>
    ask(
      path,
      { method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) },
      deadlineMs
    )
  const at = encodeURIComponent
  const query = (values: Record<string, string | number>): string =>
    new URLSearchParams(Object.entries(values).map(([key, value]) => [key, String(value)])).toString()
  const admin = '/messenger/admin'

  return {
    session: () => ask<{ scopes: string[]; home?: string }>('/session'),
    status: () => ask<Status>('/messenger/status'),
    found: (name: string, me: string) => send('POST', '/messenger/roster', { name, me }),
    join: (code: string, device: string) => send('POST', '/messenger/roster/join', { code, device }),

    users: () => ask<Items<User>>('/messenger/users'),
    setUser: ({ id, ...user }: Pick<User, 'id' | 'name' | 'role' | 'classes' | 'isDisabled'>) =>
      send<{ invitation?: Invitation }>('PUT', `/messenger/users/${at(id)}`, user),
    invite: (user: string) => send<Invitation>('POST', `/messenger/users/${at(user)}/invitation`, {}),
    importUsers: (list: { csv: string; apply: boolean; hosted: boolean; address: string }) =>
      send<Imported>('POST', '/messenger/imports', list),
    host: (user: string, address: string) =>
      send<{ card?: Card }>('PUT', `/messenger/hosted/${at(user)}`, { address }),
    joinHome: (code: string) => send('POST', '/messenger/home/join', { code }),
    openHome: (code: string) => send('POST', '/messenger/home/open', { code }),
    beginAnew: () => send('POST', '/messenger/home/anew', {}),
    addDevice: () => send<DeviceCode>('POST', '/messenger/devices/code', {}),
    confirmDevice: (digits: string) => send('POST', '/messenger/devices', { digits }),
    makeRecovery: () => send<{ code: string }>('POST', '/messenger/recovery', {}),
    revoke: (device: string, all: boolean) =>
      ask<Revoked>(
        `/messenger/devices/${at(device)}?${query({ all: String(all) })}`,
        { method: 'DELETE' },
        LONG_MS
      ),

    chats: () => ask<Items<Chat>>('/messenger/groups'),
    begin: (chat: { title: string; users: string[]; classes: string[] }) =>
      send<{ id: string }>('POST', '/messenger/groups', chat),
    change: (group: string, changes: { add?: string[]; remove?: string[]; title?: string }) =>
      send<Chat>('PATCH', `/messenger/groups/${group}`, changes),
    lines: (group: string, before?: Line) =>
      ask<Items<Line>>(
        `/messenger/groups/${group}/events?${query({
          limit: PAGE_LINES,
          ...(before === undefined ? {} : { beforeAt: before.at, beforeId: before.id })
        })}`
      ),
    /** Under the same key it is written once, however often it is sent. */
    say: ({ group, ...message }: NewMessage, key: string) =>
      send(
        'POST',
        `/messenger/groups/${group}/events`,
        message,
        { 'idempotency-key': key },
        // a line may be dead and say nothing
        DEADLINE_MS
      ),
    /** In quiet hours it goes when they end. */
    sayLater: ({ group, ...message }: NewMessage, key: string) =>
      send('POST', `/messenger/groups/${group}/later`, message, { 'idempotency-key': key }, DEADLINE_MS),
    later: () => ask<Items<Kept>>('/messenger/later'),
    dropLater: (n: number) => ask(`/messenger/later/${n}`, { method: 'DELETE' }),
    sendFile: (group: string, name: string, bytes: string) =>
      send('POST', `/messenger/groups/${group}/files`, { name, bytes }),
    file: (message: string) => ask<SentFile>(`/messenger/files/${message}`, {}, LONG_MS),
    read: (group: string, until: number) => send('PUT', `/messenger/groups/${group}/read`, { at: until }),
    edit: (message: string, text: string) => send('PATCH', `/messenger/events/${message}`, { text }),
    remove: (message: string) => ask(`/messenger/events/${message}`, { method: 'DELETE' }),
    react: (message: string, sign: string) =>
      send('PUT', `/messenger/events/${message}/reaction`, { with: sign }),
    report: (message: string, reason: string) => send('POST', '/messenger/reports', { message, reason }),
    confirm: (message: string) => send('PUT', `/messenger/events/${message}/confirmation`, {}),
    leave: (group: string) => send('POST', `/messenger/groups/${group}/leave`, {}),
    pins: (group: string) => ask<{ items: Pins }>(`/messenger/groups/${group}/pins`),
    pin: (message: string) => send('PUT', `/messenger/events/${message}/pin`, {}),
    unpin: (message: string) => ask(`/messenger/events/${message}/pin`, { method: 'DELETE' }),
    silence: (group: string, user: string, minutes: number, reason: string) =>
      send('PUT', `/messenger/groups/${group}/silences/${at(user)}`, { minutes, reason }),
    lift: (group: string, user: string) =>
      ask(`/messenger/groups/${group}/silences/${at(user)}`, { method: 'DELETE' }),
    mute: (group: string, isMuted: boolean) =>
      ask(`/messenger/groups/${group}/mute`, { method: isMuted ? 'PUT' : 'DELETE' }, LONG_MS),
    announce: (what: { text: string; classes: string[]; confirm: boolean }, key: string) =>
      send<Announced>('POST', '/messenger/announcements', what, { 'idempotency-key': key }),
    reports: () => ask<Items<Reported>>('/messenger/reports'),
    closeReport: (message: string, note: string) => send('PUT', `/messenger/reports/${message}`, { note }),
    presence: (group: string) => ask<Presence>(`/messenger/groups/${group}/presence`),
    setPresence: (is: 'here' | 'away' | 'typing', group?: string) =>
      send('PUT', '/messenger/presence', { is, ...(group === undefined ? {} : { group }) }),
    search: (text: string) => ask<Items<Found>>(`/messenger/search?${query({ text, limit: 50 })}`),

    health: (language: Language) => ask<Items<Finding>>(`${admin}/health?${query({ language })}`),
    /** as the node found it last by itself */
    lastHealth: (language: Language) =>
      ask<Items<Finding>>(`${admin}/health?${query({ last: 'true', language })}`),
    diagnose: (language: Language) =>
      ask<Items<Finding>>(`${admin}/diagnose?${query({ language })}`, {}, LONG_MS),
    audit: (language: Language) => ask<Items<Finding>>(`${admin}/audit?${query({ language })}`),
    check: (period: 'daily' | 'weekly', language: Language) =>
      ask<Items<Finding>>(`${admin}/checks/${period}?${query({ language })}`, {}, LONG_MS),
    verify: (full: boolean, language: Language) =>
      send<Items<Finding>>('POST', `${admin}/verify`, { full, language }),
    backups: () => ask<Items<Backup>>(`${admin}/backups`),
    backup: (full: boolean) => send<Backup>('POST', `${admin}/backups`, { full }),
    restore: (id: string, only: { group?: string; user?: string }) =>
      send<Restored>('POST', `${admin}/backups/${at(id)}/restore`, only),
    program: () => ask<Program>('/release'),
    update: (path: string) => send<Program>('POST', '/release', { path }),
    rollBack: () => send<Program>('POST', '/release/rollback', {}),
    carryOut: async (files: boolean) =>
      (await answerOf(`${admin}/carried?${query({ files: String(files) })}`, {}, CARRY_MS)).blob(),
    carryIn: (file: Blob) =>
      ask<CarriedIn>(
        `${admin}/carried`,
        { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: file },
        CARRY_MS
      ),
    cleanUp: () => send<Cleaned>('POST', `${admin}/cleanup`, {}),
    stats: () => ask<Stats>(`${admin}/stats`),
    log: (name: LogName) => ask<{ lines: string[] }>(`${admin}/logs/${name}`),
    setLogLevel: (level: 'debug' | 'info', minutes: number) =>
      send<{ until: number }>('PUT', `${admin}/log-level`, { level, minutes }),
    certify: (addresses: string[]) => send<Certified>('POST', `${admin}/certificate`, { addresses }),
    incident: (kind: string, user: string, language: Language) =>
      ask<Guide>(`${admin}/incidents/${kind}?${query({ language, ...(user === '' ? {} : { user }) })}`),
    ticket: (subject: string, language: Language) =>
      ask<{ text: string }>(`${admin}/ticket?${query({ subject, language })}`, {}, LONG_MS),
    setMailboxes: (peers: string[]) => send('PUT', `${admin}/mailboxes`, { peers }),
    setPolicy: (policy: Partial<Policy>) => send<Policy>('PATCH', `${admin}/policy`, policy)
  }
}

export type Api = ReturnType<typeof createApi>
