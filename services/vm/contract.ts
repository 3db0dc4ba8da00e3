/** What the owner wants of a machine. Kept in the database; everything else about a running machine is looked at. */
export type Desired = 'running' | 'paused' | 'stopped' | 'removed'

/** What a machine is seen to be. Never stored as truth. */
export type State =
  | 'stopped'
  | 'starting'
  | 'running'
  | 'paused'
  | 'stopping'
  | 'moving'
  | 'io-error'
  | 'unresponsive'
  | 'crashed'
  | 'corrupt'
  | 'unpaid'
  | 'removed'

export type Role = 'owner' | 'operator' | 'viewer'

/** How a machine starts: from the first disk, or by a kernel that the owner handed over. Files are layers by uuid. */
export type Boot = { kind: 'disk' } | { kind: 'kernel'; kernel: string; initrd?: string; append: string }

/** What the owner registered beside RAM and CPUs. */
export interface Spec {
  boot: Boot
  /** texts of a NoCloud seed, for images with cloud-init */
  cloudInit?: { userData: string; metaData: string; seed: Uuid }
  /** it has a card, behind which there is its host and no way out */
  hasNetwork?: boolean
}

/** Random names of folders and files; never a client's text. */
export type Uuid = string

export interface Machine {
  uuid: Uuid
  /** peer id of the owner */
  owner: string
  id: string
  ramMb: number
  cpu: number
  active: boolean
  authenticated: boolean
  desired: Desired
  /** figures that hold from the next start */
  pending: { ramMb: number; cpu: number } | undefined
  spec: Spec
  /** when it went into the trash */
  removedAt?: number
}

export interface Disk {
  uuid: Uuid
  owner: string
  id: string
  machine: Uuid
  sizeGb: number
  active: boolean
  /** writable qcow2 on top of its layers */
  top: Uuid
}

/** A qcow2 file; `parent` is what lies beneath. Frozen ones are never written again. */
export interface Layer {
  uuid: Uuid
  parent: Uuid | undefined
}

export interface Snapshot {
  uuid: Uuid
  machine: Uuid
  name: string
  at: number
  isScheduled: boolean
  /** frozen layer of each disk */
  disks: { disk: Uuid; layer: Uuid }[]
  memory?: Memory
}

/** What ran at the moment of a snapshot, and how the machine was put together then. */
export interface Memory extends Shape {
  /** what it ran on; said where it is to go on elsewhere */
  processor?: string
  /** file of the stream of QEMU's migration */
  layer: Uuid
}

/** What must be the same where a running guest goes on. */
export interface Shape {
  ramMb: number
  cpu: number
  hasNetwork?: boolean
  /** root port of each disk */
  slots: { disk: Uuid; slot: number }[]
}

/** Snapshots by the clock: when (cron, UTC), and how many of them are kept. */
export interface Schedule {
  pattern: string
  keep: number
  /** ms since 1970: what lies before is not made up for */
  since: number
}
