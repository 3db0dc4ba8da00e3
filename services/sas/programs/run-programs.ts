import type { Machine } from '../machine/machine.ts'
import { type CommandsInit, createCommands } from './create-commands.ts'
import { loadPrograms } from './load.ts'

export interface ProgramsInit extends Pick<CommandsInit, 'devices' | 'now' | 'signal'> {
  /** where `handlers/` is */
  folder: string
  /** runs a set at a machine */
  run(machine: Machine, set: string, signal: AbortSignal): ReturnType<CommandsInit['run']>
  /** what does not work now; undefined: it does */
  onState(what: string, why: string | undefined): void
}

/** The programs of the node's owner, each once for each machine. What one throws is told, and holds up nothing. */
export function createPrograms({ folder, run, onState, ...init }: ProgramsInit) {
  let loading: ReturnType<typeof loadPrograms> | undefined
  const tellers = new Map<string, ((code: number) => void)[]>()

  return {
    async begin(machine: Machine): Promise<void> {
      const { line, address } = machine.state
      const here: ((code: number) => void)[] = []
      loading ??= loadPrograms(folder, init.signal)
      for (const { name, run: program, why } of await loading) {
        if (program == null) {
          onState(name, why)
          continue
        }
        const { commands, tell } = createCommands({
          ...init,
          machine,
          by: name,
          run: (set, signal) => run(machine, set, signal),
          onState: fault => onState(name, fault)
        })
        here.push(tell)
        // one that goes on for ever holds up nothing
        void (async () => program(commands))().catch((error: Error) => onState(name, error.message))
      }
      tellers.set(`${line}#${address}`, here)
    },

    /** A machine has said something, which is in the log. */
    tell(line: string, address: number, code: number): void {
      for (const tell of tellers.get(`${line}#${address}`) ?? []) tell(code)
    }
  }
}
