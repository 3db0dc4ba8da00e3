/** What is granted, as names of commands in the document of the fleet; `read` is to look, the others are to do. */
export type Verb =
  | 'read'
  | 'control'
  | 'power'
  | 'files'
  | 'apps'
  | 'system'
  | 'campaign'
  | 'card'
  | 'override'
  | 'shell'

export const deviceOf = (tv: string): string => `tv:${tv}`

/** Whether a node may do that with a TV, by the document of the fleet. */
export type May = (peer: string, tv: string, name: string, risk: 0 | 1 | 2) => boolean
