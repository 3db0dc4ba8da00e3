import { strict as assert } from 'node:assert'
import type { Program, Sandbox, Session } from '../../sandbox/index.ts'
import { decodeValue, encodeValue } from '../../sandbox/index.ts'
import type { Plan } from '../../scheduler/tasks/contract.ts'
import type { Cut } from './arbitraries.ts'

/** Encoded input → encoded output of a plan's program. */
export type Run = (input: Uint8Array) => Promise<Uint8Array>

/** The program in this process, called as sandbox/contract.ts says; values cross as canonical bytes. */
export function runHere(program: Program): Run {
  const context = program.context && decodeValue(program.context)
  const evaluate = (text: string): unknown =>
    new Function('context', `"use strict"; return (${text}\n)`)(context)
  const author = (kind: string, source: string): unknown =>
    evaluate(kind === 'expression' ? `(x, index) => (${source}\n)` : source)
  const functions = Object.fromEntries(
    Object.entries(program.functions ?? {}).map(([name, { kind, source }]) => [name, author(kind, source)])
  )
  const driver = evaluate(program.driver ?? 'task => input => task(input)') as (
    ...args: unknown[]
  ) => (input: unknown) => unknown
  const tools = {
    begin() {},
    piece: (value: unknown) => value,
    copy: (value: unknown) => decodeValue(encodeValue(value))
  }
  const call = driver(author(program.kind, program.source as string), functions, context, tools)
  return async input => encodeValue(await call(decodeValue(input)))
}

/** The program in a real sandbox. */
export const openSession = (sandbox: Sandbox, program: Program): Promise<Session> =>
  sandbox.open(program, {
    requester: 'test',
    trusted: true,
    limits: { timeoutMs: 30_000, memoryMb: 256, outputBytes: 1 << 24 }
  })

export const runIn =
  (session: Session): Run =>
  async input => {
    const [outcome] = await session.run([input])
    if (outcome?.ok) return outcome.value
    throw new Error(outcome?.failure.message)
  }

/** Runs a plan slice by slice in the given order and gives the bytes of the result. */
export async function runPlan(plan: Plan, cuts: Cut[], run: Run): Promise<Uint8Array> {
  const reducer = plan.createReducer()
  for (const { first, count } of cuts) {
    const answer = await run(encodeValue(plan.input(first, count)))
    // what an audit compares: part of an answer has the bytes of the answer to that part alone
    const middle = first + (count >> 1)
    if (plan.cut != null)
      assert.equal(
        Buffer.compare(plan.cut(answer, middle - first, 1), await run(encodeValue(plan.input(middle, 1)))),
        0
      )
    reducer.add(first, count, answer)
  }
  return reducer.finish(input => run(encodeValue(input)))
}
