import { withTexts } from './authored.ts'
import { kindOf, type TaskSpec } from './registry.ts'

/** A spec as its author could have written it: parseSpec, which gave it, gives the same of what is returned. */
export function asWritten(spec: TaskSpec): { type: string } & Record<string, unknown> {
  const { type, verify } = spec
  return {
    ...withTexts(spec),
    ...kindOf(type)!.written?.(spec as never),
    type,
    verify: typeof verify === 'object' && 'quorum' in verify ? `quorum:${verify.quorum}` : verify
  }
}
