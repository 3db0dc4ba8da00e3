import type { Stage } from './stage.ts'

/** What `npm run demo -- NAME` shows. */
export interface Demo {
  /** one line for the list of demos */
  summary: string
  /** flags of its own, each with a value: name → default */
  flags?: Record<string, string>
  /** Plays on real processes; throws when it cannot even go on. What it starts on the stage is ended for it. */
  run(stage: Stage, flags: Record<string, string>): Promise<Played>
}

export interface Played {
  /** everything is as it must be */
  right: boolean
  /** for --json */
  report: Record<string, unknown>
  /** the same as tables for people */
  text: string
}
