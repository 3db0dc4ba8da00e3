import type { TabLimits } from './policy.ts'

/** From the page to its Worker; the first one brings the port to the sandboxed frame. */
export interface ToTab {
  limits: TabLimits
  /** where a Meeting is to be had */
  meeting: string
  version: string
}

/** How it goes, once a second and whenever it changes. */
export interface TabState {
  /** peer id and account */
  peer: string
  class: string
  /** nodes that it is connected with */
  nodes: number
  /** slices that run now */
  running: number
  slices: number
  /** time in Workers, ms */
  ms: number
  /** agreed prices of what was answered, micro-credits, decimal */
  earned: string
  /** why nothing is lent */
  problem?: string
}
