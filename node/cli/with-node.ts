import { Command } from 'commander'
import { type ControlClient, connectControl } from '../control.ts'
import { configOf, someFlags } from './flags.ts'
import { untilInterrupted } from './lifecycle.ts'
import type { OutputOptions } from './output.ts'

export type NodeOptions = OutputOptions & Record<string, unknown>

/** A command that talks to the running node of a data folder. */
export function nodeCommand(name: string, description: string): Command {
  return someFlags(new Command(name).description(description), ['data'])
}

/** Connects, works, and ends the process with the code that `work` gives; 0 when it gives none. */
export async function withNode(
  options: NodeOptions,
  work: (node: ControlClient, signal: AbortSignal) => Promise<unknown>
): Promise<void> {
  const node = await connectControl(configOf(options).data)
  await untilInterrupted(async signal => {
    try {
      const code = await work(node, signal)
      return typeof code === 'number' ? code : 0
    } finally {
      node.close()
    }
  })
}
