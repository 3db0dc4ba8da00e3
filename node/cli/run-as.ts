import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { type Health, slots } from '../../services/index.ts'

/** The program that was installed; releases run beside it. */
export const INSTALLED = fileURLToPath(new URL('./artel.js', import.meta.url))

/** How a release is told on its command line what it is; nobody else writes it. */
export const RUN_FLAG = '--release'
const runAs = z.object({ slot: z.enum(slots.PROGRAMS), installed: z.string(), isOnTrial: z.boolean() })
export type RunAs = z.output<typeof runAs>
export const parseRunAs = (text: string): RunAs => runAs.parse(JSON.parse(text))

/** What a program on trial says of itself, several times a second. */
export interface TrialNews {
  health: Pick<Health, 'service' | 'state' | 'reason' | 'error'>[]
}

/** Replaces this process by what now stands in the state of releases, with the same arguments, when it exits. */
export function runAgain({ installed }: Pick<RunAs, 'installed'> = { installed: INSTALLED }): void {
  process.once('exit', () => become(installed, ownArguments()))
}

export const ownArguments = (): string[] =>
  process.argv.slice(2).filter(each => !each.startsWith(`${RUN_FLAG}=`))

export function become(program: string, args: readonly string[]): never {
  process.execve!(process.execPath, [process.execPath, ...process.execArgv, program, ...args])
  throw new Error('unreachable')
}
