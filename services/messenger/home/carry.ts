import { Queue } from '@libp2p/utils'
import {
  type AtHome,
  type Call,
  createDeadline,
  DEFAULT_DEADLINE_MS,
  type Homes,
  OverdueError,
  toWire,
  UnreachableError
} from '../../host/index.ts'
import { declaration } from '../declaration.ts'
import { TooManyMessagesError } from '../errors.ts'
import { ASKS_AT_ONCE } from '../messages.ts'
import { isPerson } from '../people/acting.ts'
import type { Network } from '../school/network.ts'
import type { School } from '../school/school.ts'
import { fromParts, inParts } from './parts.ts'

type Declared = typeof declaration.operations

/** A file of 5 MB as JSON, and more than a page of messages. */
const OUTPUT_BYTES = 10_000_000
/** so that a home which does not answer is named before the operation is overdue */
const SOONER_MS = 2_000
/** Less than a failure to sign in takes: who is away is not told apart by the time. */
const HERE_WITHIN_MS = 4_000
/** Each takes the home a while; those of a class wait here for their turn. */
const SIGN_INS_AT_ONCE = 2
/** Each may hold a file. */
const MAX_WAITING = 64

const declared = (
  operation: keyof Declared
): { output: Declared[keyof Declared]['output']; deadlineMs: number } => ({
  deadlineMs: DEFAULT_DEADLINE_MS,
  ...declaration.operations[operation]
})

const isAway = (error: unknown): error is Error =>
  error instanceof UnreachableError || error instanceof OverdueError

/** This node as the one at which people sit whose home is another of the school. */
export function createCarrier(school: School, network: Network) {
  const roster = () => school.known()
  const id = (): Uint8Array => roster().school

  /** @throws {UnreachableError} names the home, where it does not answer */
  async function named<T>(peer: string, signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      signal?.throwIfAborted()
      if (!isAway(error)) throw error
      const device = roster()
        .devices()
        .find(each => each.peer === peer)
      throw new UnreachableError(
        `your home, the node ${device?.name ?? ''} (${peer}), does not answer now (${error.message}); come again when it is back, or sign in at it`
      )
    }
  }

  const turns = new Map<string, Queue<unknown>>()
  /** A page asks for all pictures of a chat at once. */
  async function inTurn<T>(
    key: string,
    concurrency: number,
    work: () => Promise<T>,
    signal?: AbortSignal
  ): Promise<T> {
    const turn = (turns.get(key) ?? new Queue<unknown>({ concurrency })) as Queue<T>
    if (turn.size >= MAX_WAITING)
      throw new TooManyMessagesError(`${MAX_WAITING} questions wait for your home; go on in 1 s`, 1)
    turns.set(key, turn as Queue<unknown>)
    try {
      return await turn.add(work, { ...(signal == null ? {} : { signal }) })
    } finally {
      if (turn.size === 0) turns.delete(key)
    }
  }

  async function ask(
    { peer, token }: AtHome,
    operation: keyof Declared,
    input: object,
    { signal, digest }: Pick<Call, 'signal' | 'digest'>
  ): Promise<unknown> {
    const { output, deadlineMs } = declared(operation)
    const { items, answer, send, end } = network.open(
      peer,
      'ask',
      { school: id(), token, operation, ...(digest == null ? {} : { digest }) },
      { signal, deadlineMs }
    )
    const sent = (async () => {
      for (const part of inParts(toWire(input))) await send(part)
      await end()
    })()
    // what is wrong is said by what comes back
    sent.catch(() => undefined)
    const told = await fromParts(items, OUTPUT_BYTES)
    await answer
    const parsed = output.safeParse(told)
    if (parsed.success) return parsed.data
    throw new UnreachableError(`${peer} answers ${operation} as no node of this version does`)
  }

  return {
    async ask(
      home: AtHome,
      operation: keyof Declared,
      input: object,
      { signal, digest }: Pick<Call, 'signal' | 'digest'>
    ): Promise<unknown> {
      // from now on: to wait for the others' questions is to wait for the home
      using inTime = createDeadline(operation, declared(operation).deadlineMs - SOONER_MS, [signal])
      const call = { signal: inTime.signal, digest }
      const answer = inTurn(home.peer, ASKS_AT_ONCE, () => ask(home, operation, input, call), inTime.signal)
      return await named(home.peer, signal, inTime.within(answer))
    },

    homes: {
      of(text) {
        const at = text.lastIndexOf('@')
        if (at < 1 || school.roster == null) return undefined
        const [name, home] = [text.slice(0, at), text.slice(at + 1).trim()]
        // a password goes to no node but one of its person
        const found = roster()
          .devices()
          .filter(
            each =>
              (each.peer === home || each.name === home) &&
              isPerson(name, each.user) &&
              roster().person(each.id) != null
          )
        const peers = new Set(found.map(({ peer }) => peer))
        return { name, isHere: peers.delete(network.self), peers: [...peers] }
      },
      async answering(peers) {
        const request = { school: id(), head: 0 }
        const asked = await Promise.allSettled(
          peers.map(peer => network.ask(peer, 'news', request, { deadlineMs: HERE_WITHIN_MS }))
        )
        // one that says no is there
        return peers.filter((_, at) => {
          const told = asked[at]!
          return told.status === 'fulfilled' || !isAway(told.reason)
        })
      },
      signIn: (person, peer) =>
        inTurn(`sign in ${peer}`, SIGN_INS_AT_ONCE, () =>
          named(peer, undefined, network.ask(peer, 'signIn', { school: id(), ...person }))
        ),
      async signOut({ peer, token }) {
        await named(peer, undefined, network.ask(peer, 'signOut', { school: id(), token }))
      },
      watch: ({ peer, token }, signal) =>
        network.open(peer, 'watch', { school: id(), token }, { signal }).items
    } satisfies Homes
  }
}
