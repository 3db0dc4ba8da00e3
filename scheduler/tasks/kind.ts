import { z } from 'zod'
import type { Program } from '../../sandbox/index.ts'
import type { LoadMessage } from '../protocol/compute-messages.ts'
import type { Part, Plan, Work } from './contract.ts'
import { common } from './fields.ts'

/*
 * What a task type is. One file in kinds/ declares each; the list of them (registry.ts) is all that the schema, the parser,
 * the planner, pipelines, the HTTP API and the SDK go by.
 */

/** A spec of this type as its form gives it. */
export type Form<Type extends string, Fields extends z.ZodRawShape> = z.ZodObject<
  { type: z.ZodLiteral<Type> } & Fields & typeof common,
  z.core.$strict
>
export type SpecOf<Type extends string, Fields extends z.ZodRawShape> = z.output<Form<Type, Fields>>

/** What every spec has, whatever its type. */
export type AnySpec = SpecOf<string, Record<never, never>>

export interface CheckTools {
  /** Throws SpecError for more items inline than the type's limit. */
  limit(field: string, items: number): void
  /** Checks another spec, as one that was submitted. */
  parse(task: unknown): AnySpec
  /** undefined for what is no type */
  kindOf(type: unknown): AnyKind | undefined
}

export interface WorkTools {
  /** the encoded size of the spec with its data */
  specBytes: number
  /** the part that a plan alone would be */
  partOf(plan: Plan): Part
  /** the message that brings a program to a worker */
  loadOf(program: Program): LoadMessage
  /** another spec as work of this job */
  workOf(spec: AnySpec, specBytes: number): Work
  parse(task: unknown): AnySpec
}

export interface InnerTask {
  path: string
  spec: AnySpec
  isWhole: boolean
}

export interface TaskKind<Type extends string, Fields extends z.ZodRawShape, Spec> {
  type: Type
  /** its own fields, beside those that every spec has */
  fields: Fields
  /** what it does, in a sentence for its users */
  description: string
  /** wall-clock ms of one slice, and inline input items (numbers for a matrix) */
  limits: { timeoutMs: number; items: number }
  /** What the form cannot say. Gives the spec that everything further in trusts; throws SpecError. */
  check(spec: SpecOf<Type, Fields>, tools: CheckTools): Spec
  /** Those of its fields that `check` gave another form, as they were written; functions are texts in any case. */
  written?(spec: NoInfer<Spec>): Record<string, unknown>
  /** A task whose units are known from the spec alone; it may be one of a batch. */
  plan?(spec: NoInfer<Spec>): Plan
  /** A task in stages; undefined: this one is as its plan says. One of both is there. */
  work?(spec: NoInfer<Spec>, tools: WorkTools): Work | undefined
  /**
   * An input of its program without work, which fails where no worker could do any; it is run here before a job begins.
   * `isWhole`: false where placeholders stand for some of its fields.
   */
  probe?(spec: NoInfer<Spec>, isWhole: boolean): unknown
  /** Tasks within it, as far as they are known, by their place: those that are, or hold, one with a probe. */
  inner?(spec: NoInfer<Spec>, tools: Pick<CheckTools, 'parse' | 'kindOf'>): Iterable<InnerTask>
  /** Determinism class where it is not the sandbox's own: only workers of the same one give the same bits. undefined: not here */
  runtime?(): string | undefined
  /** its items by CID go from the block store to the workers, without the coordinator in between */
  streams?: true
  /** the field that takes the output of the only parent in a pipeline */
  pipelineField?: string
  /** What stands for outputs that are not there yet, by field; absent, or undefined: not checked before they are. */
  placeholders?(fields: readonly string[], task: Record<string, unknown>): Record<string, unknown> | undefined
  /** a small one, as JSON; a test runs them all */
  example: { type: Type } & Record<string, unknown>
}

/** A kind together with the form that its specs must have. */
export function defineKind<const Type extends string, Fields extends z.ZodRawShape, Spec>(
  kind: TaskKind<Type, Fields, Spec>
): TaskKind<Type, Fields, Spec> & { form: Form<Type, Fields> } {
  const form = z.strictObject({ type: z.literal(kind.type), ...kind.fields, ...common })
  return { ...kind, form: form as unknown as Form<Type, Fields> }
}

/** Any kind where only the registry knows that spec and kind go together. */
export interface AnyKind
  extends Omit<
    TaskKind<string, z.ZodRawShape, AnySpec>,
    'check' | 'written' | 'plan' | 'work' | 'probe' | 'inner'
  > {
  form: z.ZodType
  check(spec: never, tools: CheckTools): AnySpec
  written?(spec: never): Record<string, unknown>
  plan?(spec: never): Plan
  probe?(spec: never, isWhole: boolean): unknown
  inner?(spec: never, tools: Pick<CheckTools, 'parse' | 'kindOf'>): Iterable<InnerTask>
  work?(spec: never, tools: WorkTools): Work | undefined
}
