import { parse } from 'acorn'
import type { SourceText } from './child-main.ts'
import type { Program } from './contract.ts'
import { ProgramError } from './errors.ts'

/** A program as scripts for the isolate, each of which evaluates to a function. */
export interface Scripts {
  task: SourceText
  driver?: SourceText
  functions: Record<string, SourceText>
}

/** Checks the author's text and makes scripts of it. Throws ProgramError with the author's line and column. */
export function compileProgram(program: Program): Scripts {
  const functions: Scripts['functions'] = {}
  for (const [name, part] of Object.entries(program.functions ?? {}))
    functions[name] = script(part.kind, part.source, name)
  return {
    task: script(program.kind, program.source, 'task'),
    driver: program.driver === undefined ? undefined : wrap(program.driver, 'artel:driver'),
    functions
  }
}

function script(kind: Program['kind'], source: string | Uint8Array, name: string): SourceText {
  if (typeof source !== 'string') throw new ProgramError(`a ${kind} is source text, not bytes`, name)
  if (kind === 'function') {
    checkExpression(source, name)
    return wrap(source, name)
  }
  if (kind === 'expression') {
    checkExpression(source, name)
    return { name, text: `"use strict";(x,index)=>(\n${source}\n)` }
  }
  throw new ProgramError(`programs of kind ${kind} are not supported yet`, name)
}

function wrap(source: string, name: string): SourceText {
  return { name, text: `"use strict";(\n${source}\n)` }
}

function checkExpression(source: string, name: string) {
  try {
    parse(`(\n${source}\n)`, { ecmaVersion: 'latest', sourceType: 'script' })
  } catch (error) {
    const { message, loc } = error as SyntaxError & { loc?: { line: number; column: number } }
    throw new ProgramError(
      message.replace(/ \(\d+:\d+\)$/, ''),
      name,
      loc && loc.line - 1,
      loc && loc.column + 1
    )
  }
}
