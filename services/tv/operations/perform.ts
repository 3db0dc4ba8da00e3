import { setTimeout as delay } from 'node:timers/promises'
import type { Link } from '../adb/link.ts'
import { commandLine } from '../adb/quote.ts'
import type { Value, Values } from '../condition.ts'
import { TvFailedError } from '../errors.ts'
import type { Profile } from '../profiles/profile.ts'
import type { Step, TvOperation } from './contract.ts'

const MAX_OUT_CHARS = 16_000
const LOOKS = 8
const LOOK_MS = 250
/** what is said by commands that end with 0 all the same */
const SAYS_NO = /^(Error|Failure|Failed|Exception|\*\* No activities)/m

export interface Answer {
  out?: string
  readings?: Values
}

/** Where operations act. */
export interface Target {
  link: Link
  profile: Profile
  /** asks the TV how it is now */
  read(signal?: AbortSignal): Promise<Values>
}

export type Args = Readonly<Record<string, unknown>>

/**
 * Does one operation by its steps, and looks whether it is done.
 *
 * @throws {TvFailedError} the TV said no, or is not as it should be: `still 12`
 */
export async function perform(
  { link, profile, read }: Target,
  operation: TvOperation,
  args: Args,
  signal: AbortSignal
): Promise<Answer> {
  const steps = profile.steps[operation.name] ?? operation.steps ?? []
  let out = ''
  for (const step of steps) {
    const answer = await link.run(commandLine(...fill(step, args)), {
      signal,
      deadlineMs: operation.deadlineMs
    })
    out = Buffer.concat([answer.out, answer.err]).toString()
    if (answer.code !== 0 || SAYS_NO.test(out))
      throw new TvFailedError(`${operation.name}: ${out.trim().slice(0, 300) || `exit code ${answer.code}`}`)
  }
  await verify(operation, args, read, signal)
  const { reads } = operation
  if (reads == null) return operation.risk === 0 ? { out: out.slice(0, MAX_OUT_CHARS) } : {}
  const readings = await read(signal)
  return {
    readings: reads.includes('*')
      ? readings
      : Object.fromEntries(Object.entries(readings).filter(([name]) => reads.includes(name)))
  }
}

/** @throws {TvFailedError} */
export async function verify(
  { name, check }: TvOperation,
  args: Args,
  read: Target['read'],
  signal: AbortSignal
): Promise<void> {
  if (check == null) return
  const [wanted] = fill([check.is], args)
  let is: Value | undefined
  for (let i = 0; i < LOOKS; i++) {
    if (i > 0) await delay(LOOK_MS, undefined, { signal })
    is = (await read(signal))[check.reading]
    if (String(is) === wanted) return
  }
  throw new TvFailedError(`${name}: still ${is ?? 'unknown'}, not ${wanted}`)
}

/** Words with their arguments; the arguments stay within their words. Pure. */
export const fill = (step: Step, args: Args): string[] =>
  step.map(word =>
    word.replace(/\{(\w+)\}/g, (whole, name: string) =>
      Object.hasOwn(args, name) ? String(args[name]) : whole
    )
  )
