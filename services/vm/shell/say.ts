import type { Answer } from '../commands/run-line.ts'

/** Sends one line; what is too long stays here, with the words of the other side. */
export type Say = (line: string, signal: AbortSignal) => Promise<Answer>

export const isExit = (line: string): boolean => /^\s*exit\s*$/i.test(line)
