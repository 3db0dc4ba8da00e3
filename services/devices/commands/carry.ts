import { setTimeout as delay } from 'node:timers/promises'
import { ConflictError, ForbiddenError, signersOf, UnreachableError } from '../../host/index.ts'
import type { IsSigned, Log } from '../context.ts'
import { CommandError } from '../errors.ts'
import type { Peers, Reply } from '../messages.ts'
import {
  COMMAND_DOMAIN,
  decodeCommand,
  hashOfCommand,
  type Outcome,
  overlong,
  type SignedCommand
} from './command.ts'

const AGAIN_MS = 1_000
/** Of one signer, and of all, that are kept until they expire. */
const MAX_OF_ONE = 20
const MAX_CARRIED = 200

interface Carried {
  peer: string
  expires: number
  /** the one under way, or the last: undefined where the node could not be reached */
  attempt: Promise<Outcome | undefined>
}

export interface CarrierInit {
  fleet: string
  peers: Peers
  /** whether a node is of this fleet */
  isMember(peer: string): boolean
  isSigned: IsSigned
  now(): number
  /** aborted when the service stops */
  signal: AbortSignal
  log: Log
}

/**
 * Brings commands of other members to nodes that these cannot reach: asked anew, and until they expire also where who
 * asked has gone. It decides nothing: the node beside the device does, and does each once whoever brings it.
 */
export function createCarrier({ fleet, peers, isMember, isSigned, now, signal, log }: CarrierInit) {
  const carried = new Map<string, Carried>()

  function demandMembers(...asked: string[]): void {
    for (const peer of asked) if (!isMember(peer)) throw new ForbiddenError(`${peer} is none of this fleet`)
  }

  function makeRoom(peer: string): void {
    for (const [hash, { expires }] of carried) if (expires < now()) carried.delete(hash)
    const own = [...carried.values()].filter(each => each.peer === peer).length
    if (own >= MAX_OF_ONE || carried.size >= MAX_CARRIED)
      throw new ConflictError(
        `this node carries ${own} commands of yours, ${carried.size} in all; wait for them`
      )
  }

  async function attempt(agent: string, command: SignedCommand): Promise<Outcome | undefined> {
    try {
      return await peers.ask(agent, 'perform', command, { signal })
    } catch (error) {
      if (error instanceof UnreachableError) return undefined
      throw error
    }
  }

  async function keepTrying(agent: string, command: SignedCommand, state: Carried): Promise<void> {
    while ((await state.attempt) == null && now() <= state.expires) {
      await delay(AGAIN_MS, undefined, { signal })
      state.attempt = attempt(agent, command)
    }
  }

  return {
    /** What the node beside the device gives. @throws {ForbiddenError} */
    nonce(
      { agent, device, name }: { agent: string; device: string; name: string },
      peer: string,
      until: AbortSignal
    ) {
      demandMembers(peer, agent)
      return peers.ask(agent, 'nonce', { device, name }, { signal: until })
    },

    /** How it ended there; `waiting` where that node cannot be reached. @throws {ForbiddenError} @throws {CommandError} @throws {ConflictError} */
    async carry(command: SignedCommand, peer: string): Promise<Reply<'carry'>> {
      const { bytes, signatures } = command
      const { agent, expires, ...rest } = decodeCommand(bytes)
      demandMembers(peer, agent)
      const signers = signersOf(bytes, COMMAND_DOMAIN, signatures, isSigned)
      if (rest.fleet !== fleet || signers.length !== signatures.length || !signers.includes(peer))
        throw new ForbiddenError('this is no command of this fleet that your node has signed')
      const why = expires < now() ? 'it has expired' : overlong({ expires, issued: rest.issued }, now())
      const hash = hashOfCommand(bytes)
      let state = carried.get(hash)
      if (state == null) {
        if (why != null) throw new CommandError(`${rest.id} is not carried: ${why}`)
        makeRoom(peer)
        state = { peer, expires, attempt: attempt(agent, command) }
        carried.set(hash, state)
        keepTrying(agent, command, state).catch((error: Error) => {
          carried.delete(hash)
          if (!signal.aborted) log.error('%s is not carried to %s: %s', rest.id, agent, error.message)
        })
      }
      return (await state.attempt) ?? { is: 'waiting' }
    }
  }
}
