import type { z } from 'zod'
import type { PeerAccess } from './access.ts'
import type { Operation, Operations } from './operation.ts'
import { whenAsked } from './when-asked.ts'

/**
 * What one node asks of another about a service: a request and an answer, where wanted with any number of items before
 * the answer (`items`, from who answers) or after the request (`sends`, from who asks). Each runs on a stream of its
 * own, so that one that waits holds up no other, and a slow reader slows its writer down.
 */
export interface Message<
  Q extends z.ZodType = z.ZodType,
  A extends z.ZodType = z.ZodType,
  I extends z.ZodType = z.ZodType,
  S extends z.ZodType = z.ZodType
> {
  request: Q
  answer: A
  items?: I
  sends?: S
  /** which other nodes may ask; default: everybody, because nodes that share a service must talk */
  peers?: PeerAccess
  /** most bytes of one request, item or answer; default: 64 KiB, at most 4 MiB */
  maxBytes?: number
  /** of the whole; where there are items, of the silence between two; default: 10 s */
  deadlineMs?: number
  /** requests of one peer that are worked on at once; more are refused; default: 16 */
  atOnce?: number
}

export type Protocol = Readonly<Record<string, Message>>

const SCHEMAS = ['request', 'answer', 'items', 'sends'] as const
type Made<M> = { [K in keyof M]: M[K] extends () => infer S ? S : M[K] }

/** A message whose schemas may be functions that make them: that is done when somebody asks for them. */
export function message<const M extends object>(declared: M): Made<M> {
  return whenAsked(declared, SCHEMAS) as Made<M>
}

export const DEFAULT_FRAME_BYTES = 64 * 1024
export const MAX_FRAME_BYTES = 4 * 1024 * 1024
export const DEFAULT_MESSAGE_MS = 10_000
export const DEFAULT_AT_ONCE = 16

/** What a handler of a message works with. */
export interface PeerCall<I = never, S = never> {
  readonly peer: string
  /** aborted when the peer goes, at the deadline, and when the service stops */
  readonly signal: AbortSignal
  /** Sends an item; wait for it, so that a slow reader slows us down. */
  send(item: I): Promise<void>
  /** what the peer sends after its request */
  readonly received: AsyncIterable<S>
}

type Of<T> = T extends z.ZodType ? z.output<T> : never
export type Request<T extends Message> = z.output<T['request']>
export type Answer<T extends Message> = z.output<T['answer']>
export type Item<T extends Message> = Of<T['items']>
export type Sent<T extends Message> = Of<T['sends']>

export type MessageHandlers<M extends Protocol> = {
  [K in keyof M]: (
    request: Request<M[K]>,
    call: PeerCall<Item<M[K]>, Sent<M[K]>>
  ) => Promise<Answer<M[K]>> | Answer<M[K]>
}

/** Messages, and the operations that peers may call: these are messages of the same name. */
export type Calls<O extends Operations, M extends Protocol> = M & {
  [K in keyof O as O[K] extends { peers: 'allowed' | 'everybody' } ? K : never]: AsMessage<O[K]>
}
type AsMessage<T extends Operation> = {
  request: T['input']
  answer: T['output']
  items: NonNullable<T['progress']>
}

/** What a peer may ask of an operation. */
export function asMessage({ input, output, progress, peers, deadlineMs }: Operation): Message {
  return { request: input, answer: output, items: progress, peers: peers ?? 'nobody', deadlineMs }
}

/** An exchange under way, as who began it sees it. */
export interface Exchange<A, I, S> {
  /** as they come; read them to the end, the answer comes after them */
  readonly items: AsyncIterable<I>
  /** Rejects with what the peer refused or failed with (PeerError), or the reason of the signal. */
  readonly answer: Promise<A>
  send(value: S): Promise<void>
  /** Says that no more is sent; the answer still comes. Rejects at the deadline, where the peer takes nothing. */
  end(): Promise<void>
}

export interface AskOptions {
  signal?: AbortSignal
  /** default: that of the message */
  deadlineMs?: number
}

/** Other nodes that have the same service. */
export interface Peers<M extends Protocol> {
  /** the own peer id */
  readonly self: string
  /** Where the connection to a peer comes from, as a multiaddr; undefined where there is none. */
  addressOf(peer: string): string | undefined
  /** Those that announce it, each once, as they are found; hints, which prove themselves when asked. */
  find(options?: { signal?: AbortSignal; limit?: number; deadlineMs?: number }): AsyncIterable<string>
  /**
   * One question, one answer.
   *
   * @throws {PeerError} with the name that the peer gave it
   * @throws {UnreachableError} it cannot be reached, or does not have the service
   */
  ask<K extends keyof M & string>(
    peer: string,
    name: K,
    request: z.input<M[K]['request']>,
    options?: AskOptions
  ): Promise<Answer<M[K]>>
  /** The same with items on the way. */
  open<K extends keyof M & string>(
    peer: string,
    name: K,
    request: z.input<M[K]['request']>,
    options?: AskOptions
  ): Exchange<Answer<M[K]>, Item<M[K]>, Sent<M[K]>>
}
