import { on } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { Terminal } from '../../host/index.ts'
import { confirmation, type Language } from '../commands/help.ts'
import { needsConfirmation } from '../commands/run-line.ts'
import { complete, expected, type Names } from './complete.ts'
import { keepLine, readHistory } from './history.ts'
import { isExit, type Say } from './say.ts'
import { textsOf } from './texts.ts'

const COMPLETION_MS = 10_000
const YES = /^(y|yes|д|да)$/i

/** Reads, answers and asks on a terminal, until Ctrl-D or EXIT. */
export async function runPrompt(terminal: Terminal, language: Language, say: Say): Promise<number> {
  const { input, output, historyFile, signal } = terminal
  const texts = textsOf(language)
  const print = (text: string): void => void output.write(`${text}\n`)
  const history = ((): string[] => {
    try {
      return readHistory(historyFile)
    } catch (error) {
      print(texts.noHistory((error as Error).message))
      return []
    }
  })()
  /** what Ctrl-C ends: a command that is waited for, or a question */
  let current: AbortController | undefined
  const prompt = createInterface({
    ...{ input, output, signal, terminal: true, prompt: 'vm> ', tabSize: 4 },
    ...{ history: history.toReversed(), historySize: 1_000, removeHistoryDuplicates: true },
    completer: async (line: string) => complete(line, await namesFor(line, say))
  })
  prompt.on('SIGINT', () => {
    if (current !== undefined) return current.abort()
    if (prompt.line === '') print(`\n${texts.leaving}`)
    // what stands behind the cursor goes too
    prompt.write(null, { ctrl: true, name: 'e' })
    prompt.write(null, { ctrl: true, name: 'u' })
    prompt.prompt()
  })
  prompt.on('close', () => current?.abort())

  async function interruptible<T>(work: (interrupted: AbortSignal) => Promise<T>): Promise<T> {
    current = new AbortController()
    try {
      return await work(AbortSignal.any([current.signal, signal]))
    } finally {
      current = undefined
    }
  }

  /** The line to send, where its user is sure. */
  async function confirmed(line: string): Promise<string | undefined> {
    const id = needsConfirmation(line)
    if (id === undefined) return line
    const ask = (interrupted: AbortSignal) =>
      prompt.question(confirmation(language, id), { signal: interrupted })
    const answer = await interruptible(ask).catch(() => {
      // Ctrl-C is a no
      output.write('\n')
      return ''
    })
    return YES.test(answer.trim()) ? `${line} --yes` : undefined
  }

  async function take(line: string): Promise<void> {
    const sure = await confirmed(line)
    if (sure === undefined) return print(texts.kept)
    try {
      print((await interruptible(interrupted => say(sure, interrupted))).text)
    } catch (error) {
      const { name, message } = error as Error
      print(name === 'AbortError' ? `\n${texts.givenUp}` : `ERR ${name} ${message}`)
    }
  }

  function keep(line: string): void {
    try {
      keepLine(historyFile, line)
    } catch (error) {
      print(texts.noHistory((error as Error).message))
    }
  }

  // an event may come while its listener works: what is pasted waits here
  const lines = on(prompt, 'line', { close: ['close'] })
  print(texts.greeting)
  prompt.prompt()
  for await (const [line] of lines as AsyncIterable<[string]>) {
    if (isExit(line)) break
    if (line.trim() !== '') {
      keep(line)
      await take(line)
    }
    if (signal.aborted) break
    prompt.prompt()
  }
  prompt.close()
  return 0
}

/** Asks only where a name can stand. */
async function namesFor(line: string, say: Say): Promise<Names> {
  const names: Names = { machines: [], disks: [] }
  const kind = expected(line)
  if (kind !== 'machines' && kind !== 'disks') return names
  try {
    const command = kind === 'machines' ? 'LIST_VMS' : 'LIST_DISKS'
    const { text } = await say(command, AbortSignal.timeout(COMPLETION_MS))
    const row = kind === 'machines' ? /^(\S+): /gm : /^Disk (\S+) /gm
    return { ...names, [kind]: [...text.matchAll(row)].map(([, id]) => id!) }
  } catch {
    return names // who presses Tab wants no lecture; the command itself will tell
  }
}
