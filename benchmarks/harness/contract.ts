/** One figure. `median`, `min` and `max` are over `runs` repetitions. */
export interface Row {
  /** stable name, listed in README.md */
  metric: string
  unit: string
  median: number
  min: number
  max: number
  runs: number
  /** what was measured instead of Artel, on the same work */
  peer?: string
}

export interface RunOptions {
  /** fewer repetitions and less work, to see that a bench works; not for comparing */
  quick: boolean
  /** A peer failed: it is named in the report and left out, and the bench goes on. */
  failed(peer: string, error: Error): void
}

/** A file beside run.ts. */
export interface Bench {
  /** metric name → what it means */
  metrics: Record<string, string>
  run(options: RunOptions): Promise<Row[]>
  /** versions of what was measured beside Artel; a missing peer is named with how to get it */
  versions?(): Promise<Record<string, string>>
}

export interface Report {
  bench: string
  commit: string
  machine: Machine
  versions: Record<string, string>
  rows: Row[]
  /** peer or bench → why it has no rows; only where something failed */
  failed?: Record<string, string>
}

export interface Machine {
  cpu: string
  cores: number
  memoryMb: number
  os: string
  /** 1-minute load average before the first run; far above 0, others were using the machine */
  load: number
  date: string
}
