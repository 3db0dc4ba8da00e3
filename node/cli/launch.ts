import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { slots } from '../../services/index.ts'
import { EXIT } from '../errors.ts'
import { configOf, settingFlags, type Words } from './flags.ts'
import type { OutputOptions } from './output.ts'

const INSTALLED = fileURLToPath(new URL('./artel.js', import.meta.url))
const LOOK_MS = 500
const NAME = 'launch'

export function launchCommand(words: Words): Command {
  return settingFlags(
    new Command(NAME).description(
      'start a node from the release that its fleet wants, or the last that worked'
    ),
    words
  )
    .option('--json', 'one JSON object per line instead of text')
    .addHelpText(
      'after',
      `
As artel start, for a supervisor that starts it again whenever it ends (Restart=always): the document of a fleet can
then replace the program, and a release that does not work is taken back.

Examples:
  artel launch --profile device --devices-enabled --devices-fleet-owner 12D3KooW…`
    )
    .action((options: OutputOptions & Record<string, unknown>) => launch(options))
}

async function launch(options: OutputOptions & Record<string, unknown>): Promise<void> {
  const { data } = configOf(options)
  const { startOf, givenUp, readState, writeState } = slots
  const folder = join(data, 'services', 'devices', slots.RELEASES)
  const before = await readState(folder)
  const { slot, program = INSTALLED, state } = await startOf(folder, before)
  // what is done is on the disk before it is done
  if (state !== before) await writeState(folder, state)
  const own = process.argv.slice(process.argv.indexOf(NAME) + 1)
  const args = [program, 'start', ...own, '--devices-slot', slot ?? 'base']
  if (state.trial != null) process.exit(await onTrial(args, state.trial))
  // this process becomes it, and costs no memory beside it
  process.execve!(process.execPath, [process.execPath, ...args])

  /** Runs it until it ends; where it does not work in time, it is ended and given up. The exit code. */
  async function onTrial(
    args: string[],
    { healthMs, startMs }: { healthMs: number; startMs: number }
  ): Promise<number> {
    const child = spawn(process.execPath, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
    let isTold = false
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(name, () => {
        isTold = true
        child.kill(name)
      })
    const isOver = (): boolean => child.exitCode != null || child.signalCode != null
    for (const until = performance.now() + healthMs + startMs; !isOver(); ) {
      await Promise.race([ended, delay(LOOK_MS)])
      if ((await readState(folder)).trial == null) break
      if (performance.now() < until || isOver()) continue
      child.kill('SIGKILL')
      await ended
      const seconds = (healthMs + startMs) / 1000
      await writeState(folder, givenUp(await readState(folder), { is: 'unfit', of: [String(seconds)] }))
      return EXIT.machine
    }
    const [code, signal] = await ended
    const after = await readState(folder)
    if (after.trial != null) {
      const { starts } = after.trial
      // that it was told to end is no fault of it
      const trial = isTold
        ? { ...after.trial, starts: starts - 1 }
        : { ...after.trial, ended: signal ?? `exit code ${code}` }
      await writeState(folder, { ...after, trial })
    }
    return code ?? EXIT.machine
  }
}
