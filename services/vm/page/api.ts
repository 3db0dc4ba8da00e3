import type { ComponentType } from 'react'

/** What the page needs of the dashboard around it. */
export interface PageProps {
  language: 'en' | 'ru'
  /** Calls a path below /api/v1 with the token of who looks. Rejects when the node does not answer. */
  request(path: string, init?: RequestInit): Promise<Response>
  /** Hears what the service tells, `vm:<topic>`; undefined: something may have been missed. */
  listen(listener: (event: { type: string } | undefined) => void): () => void
  Chart: ComponentType<{
    label: string
    data: (number | null)[][]
    names: string[]
    isTime?: boolean
    range?: [number, number]
    most?: number
    format: (value: number) => string
  }>
}

export interface MachineRow {
  id: string
  owner: string
  ramMb: number
  cpu: number
  authenticated: boolean
  state: string
  pending?: { ramMb: number; cpu: number }
}

export interface DiskRow {
  id: string
  vm: string
  sizeGb: number
}

/** Of a running machine also what its process has used. */
export interface MachineDetails extends MachineRow {
  disks: DiskRow[]
  cpuMs?: number
  memoryBytes?: number
}

export interface SnapshotRow {
  name: string
  at: number
  isScheduled: boolean
}

export interface HostRow {
  peer: string
  isHere?: boolean
  freeMb?: number
  accelerator?: string
}

export interface GrantRow {
  peer: string
  role: string
}

export type Action = 'start' | 'stop' | 'reboot' | 'pause' | 'resume'

export interface ConsoleAnswer {
  at: number
  /** one character a byte */
  text: string
  writer: 'you' | 'other' | 'none'
}

/** The node answered, and said no. */
export class RefusedError extends Error {
  override name = 'RefusedError'
  readonly reason: string
  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

/** What can be done with the machines of one host; `host` undefined: of this node. */
export function createApi(request: PageProps['request'], host: string | undefined) {
  async function ask<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await request(path, init)
    if (response.ok) return (await response.json()) as T
    const problem = (await response.json().catch(() => ({}))) as { title?: string; detail?: string }
    throw new RefusedError(problem.title ?? '', problem.detail ?? `HTTP ${response.status}`)
  }
  const get = <T>(path: string): Promise<T> =>
    ask(host === undefined ? path : `${path}?host=${encodeURIComponent(host)}`)
  const send = <T>(method: string, path: string, body: object = {}, signal?: AbortSignal): Promise<T> =>
    ask(path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, host }),
      ...(signal === undefined ? {} : { signal })
    })
  const at = (vm: string, rest = ''): string => `/vms/${encodeURIComponent(vm)}${rest}`

  /** One line of the prompt. */
  async function exec(...words: (string | number)[]): Promise<void> {
    const { text } = await send<{ text: string }>('POST', '/vms/exec', { line: words.join(' ') })
    const [, name, message] = /^ERR (\S+) (.*)/s.exec(text) ?? []
    if (name !== undefined) throw new RefusedError(name, message!)
  }

  return {
    hosts: () => ask<{ hosts: HostRow[] }>('/vms/hosts'),
    list: () => get<{ machines: MachineRow[] }>('/vms'),
    show: (vm: string) => get<MachineDetails>(at(vm)),
    create: (id: string, ramMb: number, cpu: number) => exec('AUTH', id, ramMb, cpu),
    update: (id: string, ramMb: number, cpu: number) => exec('UPDATE_VM', id, ramMb, cpu),
    remove: (id: string) => exec('REMOVE_VM', id, '--yes'),
    addDisk: (disk: string, vm: string, sizeGb: number) => exec('ADD_DISK', disk, vm, sizeGb),
    removeDisk: (disk: string) => exec('REMOVE_DISK', disk),
    boot: (vm: string, kernel: string, initrd: string) =>
      send('PUT', at(vm, '/boot'), { kernel, ...(initrd === '' ? {} : { initrd }) }),
    importDisk: (vm: string, disk: string, file: string) =>
      send('POST', at(vm, '/disks/import'), { disk, file }),
    power: (vm: string, action: Action, force = false) => send('POST', at(vm, '/power'), { action, force }),
    console: (vm: string, body: object, signal?: AbortSignal) =>
      send<ConsoleAnswer>('POST', at(vm, '/console'), body, signal),
    snapshots: (vm: string) => get<{ snapshots: SnapshotRow[] }>(at(vm, '/snapshots')),
    snapshot: (vm: string, name: string) => send('POST', at(vm, '/snapshots'), { name }),
    rollback: (vm: string, name: string) =>
      send('POST', at(vm, `/snapshots/${encodeURIComponent(name)}/rollback`)),
    forget: (vm: string, name: string) =>
      ask(
        `${at(vm, `/snapshots/${encodeURIComponent(name)}`)}${host === undefined ? '' : `?host=${encodeURIComponent(host)}`}`,
        { method: 'DELETE' }
      ),
    grants: (vm: string) => get<{ grants: GrantRow[] }>(at(vm, '/grants')),
    grant: (vm: string, peer: string, role: string) => send('POST', at(vm, '/grants'), { peer, role })
  }
}

export type Api = ReturnType<typeof createApi>
