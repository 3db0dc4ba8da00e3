import type { z } from 'zod'
import type { Encoded, Group, Operation, Output, Progress } from './operation.ts'

export interface CallOptions<E = unknown> {
  signal?: AbortSignal
  /** of an operation whose body is bytes; only over HTTP */
  body?: BodyInit
  onProgress?(progress: E): void
  /** false: where no node answers it fails at once */
  again?: false
}

/** Calls any operation by its names, also one that this program does not know. */
export type CallByName = (
  group: string,
  operation: string,
  input?: Record<string, unknown>,
  options?: CallOptions
) => Promise<unknown>

/** An input as a caller writes it: what has a default may be left out. */
type Given<I extends z.ZodObject> = {
  [K in keyof z.output<I> as undefined extends z.input<I>[K & keyof z.input<I>] ? never : K]: z.output<I>[K]
} & {
  [K in keyof z.output<I> as undefined extends z.input<I>[K & keyof z.input<I>] ? K : never]?: z.output<I>[K]
}

type Answered<O extends Operation> = Output<O> extends Encoded ? unknown : Output<O>

type Method<O> = O extends Operation
  ? Record<never, never> extends Given<O['input']>
    ? (input?: Given<O['input']>, options?: CallOptions<Progress<O>>) => Promise<Answered<O>>
    : (input: Given<O['input']>, options?: CallOptions<Progress<O>>) => Promise<Answered<O>>
  : never

/** Every operation as a method: `files.list({})`. What it takes and gives says its declaration. */
export type Clients<G extends Pick<Group, 'name' | 'operations'>> = {
  [M in G as M['name']]: { [K in keyof M['operations']]: Method<M['operations'][K]> }
}
