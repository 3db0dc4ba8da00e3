import { encodeValue, type Program, type Session } from '../../sandbox/index.ts'
import type { Canary } from './canary.ts'

/** What became of one program. */
export interface Verdict {
  file: string
  verdict: 'passed' | 'did not parse' | 'did not start' | 'TRIPPED'
  /** how it ended, or why it was not run; what it tripped */
  detail: string
}

/** A file may hold a module, a function, or (most of them) a script. The first that parses is run. */
const formsOf = (source: string): Program[] => [
  { kind: 'module', source },
  { kind: 'function', source },
  { kind: 'function', source: `async function () {${source}\n}` }
]

/** Runs a program under a canary. A child that does not start says nothing of the program. */
export async function judge(
  { file, source }: { file: string; source: string },
  canary: Pick<Canary, 'bait' | 'trips'>,
  open: (program: Program) => Promise<Session>
): Promise<Verdict> {
  const context = encodeValue(canary.bait)
  let seen = ''
  let verdict: Verdict['verdict'] = 'did not parse'
  let detail = ''
  for (const form of formsOf(source)) {
    try {
      const session = await open({ ...form, context })
      const [outcome] = await session.run([context]).finally(() => session.close())
      verdict = 'passed'
      detail = outcome!.ok ? 'answered' : outcome!.failure.name
      seen = outcome!.ok ? Buffer.from(outcome!.value).toString('latin1') : JSON.stringify(outcome!.failure)
      break
    } catch (error) {
      const { name, message } = error as Error
      detail = message
      if (name === 'ProgramError') continue
      if (name !== 'SandboxUnavailableError') throw error
      verdict = 'did not start'
      break
    }
  }
  const trips = canary.trips(seen)
  return trips.length > 0 ? { file, verdict: 'TRIPPED', detail: trips.join(', ') } : { file, verdict, detail }
}

const VERDICTS = ['passed', 'did not parse', 'did not start', 'TRIPPED'] as const

/** Of each verdict how many programs, and of those that passed how they ended. */
export function summary(verdicts: Verdict[]): [verdict: string, programs: number, ends: string][] {
  return VERDICTS.map(verdict => {
    const own = verdicts.filter(each => each.verdict === verdict)
    const ends =
      verdict === 'passed' ? Map.groupBy(own, ({ detail }) => detail) : new Map<string, unknown[]>()
    return [verdict, own.length, [...ends].map(([end, { length }]) => `${end} ${length}`).join(', ')]
  })
}
