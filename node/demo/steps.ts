import { table } from '../cli/output.ts'
import type { Played } from './contract.ts'
import type { Stage } from './stage.ts'

export interface Step {
  what: string
  right: boolean
  ms: number
  detail: string
}

/** The steps of a demo, told while they are played and as a table at the end. A step that throws ends the demo. */
export function createSteps(say: Stage['say']) {
  const steps: Step[] = []
  return {
    steps,

    async step(what: string, work: () => Promise<{ right: boolean; detail: string }>): Promise<void> {
      say(`${what} …`)
      const startedAt = performance.now()
      const { right, detail } = await work()
      steps.push({ what, right, detail, ms: Math.round(performance.now() - startedAt) })
      if (!right) say(`WRONG  ${what}: ${detail}`)
    },

    /** @param isEnded whether nothing is left behind */
    played(isEnded: boolean, report: Record<string, unknown> = {}): Played {
      return {
        right: isEnded && steps.every(({ right }) => right),
        report: { ...report, steps },
        text: table(
          ['STEP', '', 'MS', 'DETAIL'],
          steps.map(({ what, right, ms, detail }) => [what, right ? 'right' : 'WRONG', ms, detail])
        )
      }
    }
  }
}
