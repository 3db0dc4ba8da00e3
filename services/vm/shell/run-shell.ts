import { createInterface } from 'node:readline/promises'
import type { Terminal } from '../../host/index.ts'
import { languageOf } from '../commands/help.ts'
import type { Answer } from '../commands/run-line.ts'
import { parseLine, plain } from '../core/grammar.ts'
import { VERDICTS } from '../errors.ts'
import { runPrompt } from './run-prompt.ts'
import { isExit, type Say } from './say.ts'

/**
 * The client of the seed commands: a prompt on a terminal, else lines in and the worst exit code out. Both take what
 * `artel vm exec` takes.
 */
export async function runShell(
  terminal: Terminal,
  call: (input: Record<string, unknown>, signal: AbortSignal) => Promise<Answer>
): Promise<number> {
  const language = languageOf(terminal.environment)
  const say: Say = async (line, signal) => {
    try {
      parseLine(line)
    } catch (error) {
      const { name, message } = error as Error
      return { text: `ERR ${name} ${message}`, exit: VERDICTS[name]!.exit }
    }
    const { text, exit } = await call({ line, language }, signal)
    return { text: plain(text), exit }
  }
  if (terminal.input.isTTY === true && terminal.output.isTTY === true)
    return runPrompt(terminal, language, say)
  return runPipe(terminal, say)
}

async function runPipe({ input, output, signal }: Terminal, say: Say): Promise<number> {
  let worst = 0
  for await (const line of createInterface({ input, signal, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue
    if (isExit(line)) break
    const { text, exit } = await say(line, signal)
    output.write(`${text}\n`)
    worst = Math.max(worst, exit)
  }
  return worst
}
